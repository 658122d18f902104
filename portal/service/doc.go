// Package service is what the portal can do, free of HTTP: the JSON API and the web
// pages call it and only render what it answers.
//
// Invariants: input is judged whole before anything is written, so a refusal leaves
// everything as it was; a change is one update of one object, by compare-and-swap;
// an image is stored by digest only; a secret's value is written and never read
// out. Tenants' clusters are reached only with the short-lived token in the Secret
// cluster-access of the management namespace; the edge's access log is read from its
// pods, and a line of another app is dropped whatever they send. Every error is an
// errs.Error fit to be shown.
//
// Only packages below portal may import it.
package service
