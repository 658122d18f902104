// Package certificates gets certificates from an authority that speaks ACME (RFC 8555).
//
// It owns the account at the authority, the course of one order and the proof by DNS. The
// proof by HTTP is given by the edge, which reads it from the Certificate's status: the
// caller hands in how that is written.
//
// Invariants: no order outlives its deadline; a key of a certificate is made for one
// order and leaves only with its certificate; what the authority refuses is told in its
// own words and apart from an authority that does not answer; records in DNS are
// removed when the authority has looked, and only ever written below the given zone.
//
// It implements apps.Authority. Only cmd imports it.
package certificates
