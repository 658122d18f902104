// Package kubetest gives tests a real Kubernetes API server: kine on SQLite and
// kube-apiserver, the very binaries that the embedded cluster runs, with Berth's
// kinds installed and RBAC on.
//
// One server serves a whole test process; tests keep apart by namespaces and
// names. A second one, without Berth's kinds, is there for what works on two clusters. There is no controller manager and no node: a deleted namespace stays
// Terminating, owner references delete nothing, pods never run, service accounts
// are not made by themselves.
//
// StartAuthority gives one test a certificate authority that speaks ACME.
//
// Invariants: everything listens on loopback only; no process outlives the test process,
// even one that is killed; the folder of a dead process is removed by the next.
//
// Tests alone may import it. It imports api, because installing Berth's kinds is what
// every reconciler's test needs.
package kubetest
