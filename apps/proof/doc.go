// Package proof looks whether a host holds the token that proves whose it is: in a TXT
// record of its DNS, or in an answer over plain HTTP where it leads today.
//
// A tenant chooses the host, so a look is a request that an outsider aims. Invariants:
//   - it connects to public addresses only, and to those an operator listed. The address
//     is judged when the connection is made, after its name was looked up, so a name that
//     answers differently the second time changes nothing;
//   - it follows no redirect, uses no proxy, reads 1 KiB and ends within seconds;
//   - what it reports tells a tenant no more than that an address does not answer.
//
// The reconciler of Domains imports it, and cmd/berth-controller, which configures it.
package proof
