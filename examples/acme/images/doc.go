// Package images makes the images of the example shop: its programs are compiled from
// examples/acme, PostgreSQL and Prometheus are Debian's.
//
// Every image runs as user 10001, needs no capability and writes to its volume and /tmp
// only, as pod security "restricted" demands of a tenant's components.
package images
