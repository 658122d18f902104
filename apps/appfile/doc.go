// Package appfile reads and compares berth.yaml, the one file in which a developer
// describes an app next to its code.
//
// It owns the file's format: the strict parser, the JSON Schema that editors use and
// that the tests hold against the parser, the translation into an App, the list of
// differences between two Apps and the first file that `berth init` writes.
//
// Invariants:
//   - nothing in a file is ignored: an unknown field is an error that names its line
//     and the field that was probably meant;
//   - the order of components and ports is the file's;
//   - a file never holds the value of a secret, only its name.
//
// The portal and the command line import it. It imports api, internal and the roots
// of apps and tenancy.
package appfile
