// Package api is the JSON API, version 1, as docs/api.md describes it.
//
// A handler parses, asks whether the caller may, calls package service and renders
// the types of internal/apiclient; one file per resource. Refusals are problem
// documents (RFC 9457), made in one place from errs codes. Requests are bounded in
// size and decoded strictly: an unknown field is refused by name, since a setting
// that is silently ignored is worse than an error.
//
// Only package portal's main program may import it.
package api
