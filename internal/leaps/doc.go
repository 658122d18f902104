// Package leaps notices that the machine's clock was set, or stood still with the machine.
//
// Timers do not: they count on a clock that nobody sets. A reconciler that is to look again
// when something ends is late by as much as the clock was set, unless it is told.
//
// It is domain-free, and every package may import it.
package leaps
