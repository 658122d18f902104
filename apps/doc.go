// Package apps holds the rules of apps: what a release freezes, how many
// processes run and how large they are, which host names an app answers on,
// when a domain is a tenant's own, what is refused before anything is written,
// and why a release failed, in words for the developer who made it.
//
// Everything at this root is a pure function of the objects it is given. What
// touches a cluster or a network is below: render (a release as Kubernetes
// objects), reconcilers/, router (the edge), proof (looks whose a domain is),
// certificates (the authority they are ordered from); appfile is the file a
// developer keeps next to the code.
//
// Invariants:
//   - a release names every image by digest and never changes;
//   - no app is granted more OCUs than its tenant's plan has left, but an app may
//     always keep or give back what it was granted;
//   - a host name belongs to one tenant, under that tenant's suffix, and to one
//     port of one app, the oldest that asked for it;
//   - a domain of a tenant's own belongs to the one who proved it first, together with
//     what overlaps with it, and never to the platform.
//
// Rooms above this one (builds, previews) and the portal may import it; it
// imports api, internal and the roots of tenancy and below only.
package apps
