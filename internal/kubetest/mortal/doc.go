// Package mortal makes the clients of a controller fail at any call a test chooses: the
// process is killed there, or the network loses one call of a process that goes on.
//
// A test runs a journey again and again, with the fault at the first call, at the second,
// and so on until the journey ends before the fault comes. After each it lets the
// reconcilers converge, new ones if they were killed, and asks what must hold.
//
// Only writes are counted for a kill and for an answer that is lost: a process that is
// killed at a read leaves the same behind as one that is killed after the write before it,
// and a read whose answer is lost is a read that failed.
//
// Tests alone may import it.
package mortal
