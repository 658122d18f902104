//go:build tools

// Package pebble pins Let's Encrypt's test server, which tests order certificates from. It
// is a module of its own, so that a new version of it builds nothing else anew.
package pebble

import (
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble"
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv"
)
