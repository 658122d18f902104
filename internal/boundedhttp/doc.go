// Package boundedhttp bounds what is read from API servers that are not trusted: a
// tenant is an admin of its own and may have anything answer in its place.
//
// Invariants: an answer that a client reads as a whole ends at MaxBody bytes with an
// error that says so; nothing is decompressed on the way, so that a few bytes sent are
// never many bytes held; a redirect is not followed, since it would carry the client's
// credentials to an address that the server chose.
//
// Whoever makes a rest.Config for a tenant's cluster must pass it through Apply or ApplyToStreaming.
package boundedhttp
