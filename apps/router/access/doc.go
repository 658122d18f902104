// Package access keeps the access log of apps: a line for each request, on the edge's
// output and, for the newest of each app, in memory for those who want to read them.
//
// Invariants:
//
//   - Noting a request never waits: a line that nobody has time for is dropped and counted.
//   - Memory is bounded over all apps; when it is full, the app that holds most of it
//     gives up the older half of its lines, so that a loud app costs no quiet one its own.
//   - A line holds no query and no header but the user agent: secrets ride in them.
//
// apps/router and cmd/berth-router import it.
package access
