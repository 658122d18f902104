// Command bench measures Berth side by side with what people would use instead, on one
// embedded cluster in one run, and writes docs/benchmarks.jsonl (every measurement) and
// the tables in docs/benchmarks.md.
//
//	up       `make up`: a fresh instance, one that runs, one that is started again
//	tenant   a tenant from nothing and from the pool, against `vcluster create`
//	deploy   an image to its first answer, against `kubectl apply` and `rollout status`
//	usage    memory and CPU of every process while nothing happens
//	recovery how long each part that is killed is missed
//	edge     requests, memory and changed routes of the edge, against nginx
//
// Rules: both sides of a comparison run in turns in the same cluster with the same
// images, every other round in the other order, and one function looks at both: what is
// ready, and how often that is asked, is the same. Nothing is measured before the machine
// is quiet, or as said to be busy. It brings up an instance of its own and removes it at
// the end; one run at a time has the instance.
//
// Nobody imports it.
package main
