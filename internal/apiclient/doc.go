// Package apiclient is the JSON API, version 1, as a Go program sees it: the
// documents that go over the wire and a client that sends and reads them.
//
// The portal renders these types and the CLI reads them, so neither can drift from
// the other. A template's components and the settings for the edge are those of
// api/v1alpha1: an app file, a release and the API describe them with the same words.
// Nothing else of the kinds leaks through; a field here is a promise to callers.
//
// It imports the standard library, api and errs, and every package may import it.
package apiclient
