// Package kit is what this room's reconcilers share: telling a phase's outcome in a
// condition, turning it into what to do next, applying objects, and ending pods that
// take their time.
//
// It holds no state and decides nothing about tenants. Only reconcilers of this room
// may import it.
package kit
