// Package conditions writes the conditions of objects in one way.
//
// Its invariants: every condition a kind has is present from the first pass on;
// each says which generation it speaks of; the time of a transition changes only
// when the status does; Ready is derived from the others and never set by hand.
//
// It imports apimachinery only, and every package may import it.
package conditions
