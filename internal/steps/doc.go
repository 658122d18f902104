// Package steps gives errors of reconcilers their policy.
//
// A phase of a reconciler returns nil when its work is done, and otherwise an
// error that says what happens next:
//
//   - a plain error: try again soon, with growing pauses;
//   - Wait: nothing is wrong, look again after a while or when something changes;
//   - Stall: trying again cannot help, a person must act.
//
// It owns this distinction and nothing else. It imports the standard library
// only, and every package may import it.
package steps
