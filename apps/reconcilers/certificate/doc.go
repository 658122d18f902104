// Package certificate gets certificates and keeps them fresh: it orders from the
// authority of the installation, or takes what a tenant uploaded, and puts the pair into
// the Secret that the edge reads.
//
// Its phases:
//   - held: what the Secret holds now;
//   - upload: the tenant's pair, checked, is copied;
//   - issue: when it is time, an order at the authority;
//   - status.
//
// Invariants: a pair is written only if it is good for the host at this moment, and one
// that still serves is never taken away for one that does not; when the next order is due
// is known from the objects alone, so a controller that was killed neither orders twice
// what it has nor asks sooner than it may; what failed is remembered beside them too, so
// nobody asks sooner by removing a host and adding it again; keys are in Secrets and
// nowhere else.
//
// Wildcards makes the Certificates of tenants and of the platform itself, where the
// authority can prove them.
//
// Only cmd imports it.
package certificate
