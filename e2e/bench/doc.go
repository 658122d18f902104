// Command bench measures Berth side by side with what people would use instead, on one
// embedded cluster in one run, and writes docs/benchmarks.jsonl (every measurement) and
// the tables in docs/benchmarks.md.
//
//	up       `berth up`: a fresh instance, one that runs, one that is started again
//	tenant   a tenant from nothing and from the pool, against `vcluster create`
//	deploy   an image to its first answer, against `kubectl apply` and `rollout status`
//	usage    memory and CPU of every process while nothing happens
//
// Rules: both sides of a comparison run in turns in the same cluster with the same
// images, and are done at the same condition, which one function decides for both. It
// brings up an instance of its own and removes it at the end.
//
// Nobody imports it.
package main
