// Package domain reconciles Domains: it looks for the proof of ownership, claims the host
// among all tenants, wants a certificate and finds the Route that the host shares its
// backend with. The edge serves what is written here.
//
// One file per phase: target.go, proof.go, claim.go, certificate.go; status.go turns what
// they saw into conditions; finalize.go is the way out.
//
// Invariants:
//   - a token is written down before it is looked for, and is never another object's;
//   - a claim is made only right after the proof was seen, by compare-and-swap on the one
//     DomainClaim of the registrable name;
//   - a claim is given back after the host's certificate and its Secret are gone, so a host
//     never comes to another tenant together with a key of the one before;
//   - an error that says nothing about the host takes no condition back: an API server that
//     stumbles ends nobody's service.
//
// cmd/berth-controller imports it; nobody else.
package domain
