// Command berth is the command line for developers and operators. One file holds one
// noun; commands are named noun:verb. All but up, down, status and doctor speak to the
// JSON API and to nothing else.
//
// Help and messages of what developers use avoid the words of Kubernetes; the group
// Kubernetes has them for those who want it. Every command takes --json. Exit codes: 0
// it worked, 1 it did not, 2 it was not asked for rightly.
package main
