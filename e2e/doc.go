// Package e2e holds the scenarios that show what Berth promises, each against a real
// running Berth on the embedded cluster, through the same commands people type.
//
// TestMain builds the command line, brings up the instance "e2e", which all scenarios but
// those of an instance's life share, and takes it down at the end; scenarios never share
// tenants. TestInterruptedUp, TestKilledInstance, TestSecondInstance, TestFargate and TestHosts
// bring up and remove instances of their own beside it. All of them lie in a home of their own,
// never in a user's.
//
// One run at a time: it holds a lock beside that home, and another, of whatever checkout,
// is refused. Ctrl-C and SIGTERM remove the instances before the run ends. After a kill -9,
// or when -timeout is up, they stay until the next run, which removes them first.
//
// Run all with `make e2e`, one with `make e2e RUN=TestSpine`, those that attack with
// `make attack`, those that kill many times over with `make soak`. Flags of the scenarios go
// into E2E_ARGS: -keep leaves the shared instance running for a look, -kills says how often
// scenarios of kills repeat, -killseed draws the parts and moments of TestKillTable again.
package e2e
