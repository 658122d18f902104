// Package netpol enforces NetworkPolicy (networking.k8s.io/v1) on the embedded node with
// nftables, and security groups for the pods of a pool like Fargate. It owns the table
// "inet berth-netpol" of the node's network namespace and nothing else: no other table, no
// route, no sysctl.
//
// It is made for a node whose pods hang on point-to-point veth pairs with one host
// route each (the CNI plug-in ptp): every packet of a pod then passes the node's IP
// stack, in forward (pod to pod, pod to elsewhere) or in input (pod to node).
//
// # What holds
//
//   - Policies add up. A pod that no policy of a direction selects is open in that
//     direction; a selected one may do what at least one policy allows. A connection
//     between two pods needs the egress side and the ingress side to agree.
//   - Addresses are compared after kube-proxy's DNAT and before its masquerading:
//     the destination is the real endpoint, the source the real pod. For a policy a
//     Service does not exist.
//   - What the node itself sends to its pods always passes (kubelet's probes, the
//     API server's proxy), so output is not hooked. What a pod sends to the node is
//     egress to an address like any other: an isolated pod reaches kubelet or the
//     host's API server only when a policy says so.
//   - A pod reaches itself, through a Service too.
//   - No pod can pretend to be the node or another pod: a packet that comes in by a
//     pod's veth is dropped unless the route back to its source leads into the same
//     veth. It is the one rule here that no policy asks for.
//   - Fail closed. A pod that is not yet known can exchange packets with the node's
//     own connections (probes and their replies) and with nothing else. It becomes
//     known as soon as its address is seen: in the CNI result cache, which is
//     written before its first container starts, or in the pod's status. From there
//     it takes 20 ms and one transaction (a few milliseconds), so a
//     container that calls out in its first instants may see its first SYN
//     retransmitted. Without the CNI cache kubelet's status report has to
//     come first, a second or two.
//   - One transaction per sync, and it is atomic: no packet ever meets half of a
//     change. A pod that is gone leaves every set in the transaction that notices
//     it, and its tracked connections are forgotten, so that the next owner of
//     the address inherits nothing.
//   - When the enforcer stops the rules stay. When it starts again it replaces the
//     table in one transaction, after it has read the whole state; when there
//     is no table yet (Prepare) it first installs one that knows no pod.
//
// # Choices that the API leaves open
//
//   - A connection that was allowed when it began lives until it ends, also when a
//     policy made later forbids it. Replies and related ICMP errors pass.
//   - A named port that no pod has matches nothing. In egress a named port is looked
//     up on the pods among the peers; addresses of an ipBlock that are no pods have no names.
//   - An ipBlock is compared with the packet's address, so it also matches pods and
//     the node within it.
//   - Pods on the node's own network are neither isolated nor matched by selectors;
//     they are the node.
//   - A policy whose selector or block cannot be understood isolates what it would
//     isolate and allows nothing by the broken part.
//   - Neighbour discovery of IPv6 between pod and node always passes, as ARP does.
//
// # Security groups
//
// With a file of groups (Options.GroupsFile) a pod that was given to the scheduler of
// Fargate is isolated by its security groups and by nothing else: policies that select it
// do nothing, as on Fargate. Which groups it has stands in an annotation, written when the
// pod was made: a policy made or changed later concerns later pods only, as on Amazon's
// clusters. Without the annotation it has the cluster's own group.
//
//   - Groups add up, and what none of them allows is dropped, in both directions. They
//     are stateful: replies pass.
//   - A group as a peer means the addresses of the pods that have it. The cluster's own
//     means the node, all pods outside of the pool, and those within it without a group.
//   - Policies of other pods select pods of the pool as peers like any other.
//   - A group that is not in the file allows nothing.
//   - A file that cannot be read leaves the groups as they were.
//
// It imports no room and may be imported by internal/localcluster alone.
package netpol
