// Package reconcilers holds, in its folders, one reconciler for each kind of this
// room, and here the tests of them all together against a real API server. They meet
// only through objects, so their rules can be seen only where all of them work.
package reconcilers
