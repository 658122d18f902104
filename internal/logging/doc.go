// Package logging sets up slog for every binary.
//
// It owns the choice of format and level and the bridges from the loggers of
// libraries (klog, controller-runtime) into slog, so that one process writes one
// kind of line to one place. Loggers are handed down; the default logger is set
// only for libraries that know no other.
//
// It imports no other package of ours but errs, and cmd and tests may import it.
package logging
