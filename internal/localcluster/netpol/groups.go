package netpol

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/localcluster/reread"
)

// What tells a pod of a pool like Fargate, and its security groups. The scheduler's name
// cannot be changed in the life of a pod; the admission webhook keeps the annotation as it was
// when the pod was made.
const (
	// FargateScheduler is the scheduler that such a pod is given to.
	FargateScheduler = "fargate-scheduler"
	// GroupsAnnotation holds the ids of the pod's groups, with commas between.
	GroupsAnnotation = "fargate.amazonaws.com/pod-sg"
	// ClusterGroup is the id of the group of the node, of all pods outside of the pool, and
	// of those within it that have no other group.
	ClusterGroup = "sg-cluster"
)

// maxGroups is how many groups a file may hold: each is two chains.
const maxGroups = 1000

// securityGroup is one entry of the file: a name for the pods that have it, and what may
// reach them and what they may reach. What no rule of a pod's groups allows is dropped.
type securityGroup struct {
	ID string `json:"id"`
	// Description is for people.
	Description string      `json:"description,omitempty"`
	Ingress     []groupRule `json:"ingress"`
	// Egress left out means everything, as of a new group of EC2; [] means nothing.
	Egress *[]groupRule `json:"egress,omitempty"`
}

// groupRule allows a protocol, on a run of ports, with peers of either kind.
type groupRule struct {
	// Protocol is tcp, udp or -1: all protocols and ports.
	Protocol string `json:"protocol"`
	// FromPort and ToPort are the first and the last port; both are left out with -1.
	FromPort *uint16 `json:"fromPort,omitempty"`
	ToPort   *uint16 `json:"toPort,omitempty"`
	// CIDRs and Groups are the peers: blocks of addresses and ids of groups.
	CIDRs  []string `json:"cidrs,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

var protocols = map[string]corev1.Protocol{"tcp": corev1.ProtocolTCP, "udp": corev1.ProtocolUDP}

// parseGroups reads the file's text. The cluster's own group is always there: its members
// reach each other, and it reaches everything, unless the file has it in other words.
func parseGroups(data []byte) (map[string]securityGroup, error) {
	among := []groupRule{{Protocol: "-1", Groups: []string{ClusterGroup}}}
	out := map[string]securityGroup{ClusterGroup: {ID: ClusterGroup, Ingress: among}}
	if len(bytes.TrimSpace(data)) == 0 {
		return out, nil
	}
	var groups []securityGroup
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&groups); err != nil {
		return nil, fmt.Errorf("reading a list of security groups: %w", err)
	}
	if len(groups) > maxGroups {
		return nil, errs.New(errs.Invalid, "", fmt.Sprintf("%d security groups", len(groups)), fmt.Sprintf("keep to %d", maxGroups))
	}
	named := map[string]bool{}
	for i, group := range groups {
		field := fmt.Sprintf("[%d]", i)
		if !strings.HasPrefix(group.ID, "sg-") || strings.ContainsAny(group.ID, ", ") {
			return nil, errs.New(errs.Invalid, field+".id", fmt.Sprintf("%q cannot name a security group", group.ID), "write it as sg- and a name")
		}
		if named[group.ID] {
			return nil, errs.New(errs.Invalid, field+".id", group.ID+" is there twice", "join the two")
		}
		named[group.ID] = true
		rules := group.Ingress
		if group.Egress != nil {
			rules = slices.Concat(rules, *group.Egress)
		}
		for _, rule := range rules {
			if err := rule.check(field); err != nil {
				return nil, err
			}
		}
		out[group.ID] = group
	}
	return out, nil
}

// check says what is wrong with a rule of the group at field.
func (r groupRule) check(field string) error {
	hasPorts := r.FromPort != nil && r.ToPort != nil
	switch _, known := protocols[r.Protocol]; {
	case !known && r.Protocol != "-1":
		return errs.New(errs.Invalid, field+".protocol", fmt.Sprintf("%q is no protocol here", r.Protocol), "use tcp, udp or -1 for all")
	case known && (!hasPorts || *r.FromPort > *r.ToPort):
		return errs.New(errs.Invalid, field+".fromPort", "a rule for "+r.Protocol+" needs its first and its last port", "give fromPort and toPort, 0 and 65535 for all")
	case !known && (r.FromPort != nil || r.ToPort != nil):
		return errs.New(errs.Invalid, field+".fromPort", "a rule for all protocols has no ports", "leave them out, or use tcp or udp")
	case len(r.CIDRs)+len(r.Groups) == 0:
		return errs.New(errs.Invalid, field+".cidrs", "a rule needs its peers", "give cidrs or groups")
	}
	for _, cidr := range r.CIDRs {
		if _, err := parseBlock(cidr); err != nil {
			return errs.New(errs.Invalid, field+".cidrs", fmt.Sprintf("%q is no block of addresses", cidr), "write it as 10.0.0.0/16")
		}
	}
	return nil
}

// everywhere is what a group without egress rules may reach.
var everywhere = []allowance{{everyone: true, anyPort: true}}

// groupAllowances resolves a group's rules of one direction. A group that is not known
// allows nothing.
func (s *snapshot) groupAllowances(id string, dir direction) []allowance {
	group, known := s.groups[id]
	if !known {
		return nil
	}
	rules := group.Ingress
	if dir == egress {
		if group.Egress == nil {
			return everywhere
		}
		rules = *group.Egress
	}
	var out []allowance
	for _, r := range rules {
		a := allowance{bySelector: len(r.Groups) > 0, anyPort: r.Protocol == "-1"}
		if !a.anyPort {
			a.ports = map[corev1.Protocol][]portRange{protocols[r.Protocol]: {{from: *r.FromPort, to: *r.ToPort}}}
		}
		for _, cidr := range r.CIDRs {
			if block, err := parseBlock(cidr); err == nil {
				a.blocks = append(a.blocks, block)
			}
		}
		a.blocks = merge(a.blocks)
		for _, peer := range r.Groups {
			a.peers = append(a.peers, s.members(peer)...)
		}
		slices.SortFunc(a.peers, netip.Addr.Compare)
		a.peers = slices.Compact(a.peers)
		out = append(out, a)
	}
	return out
}

// members are the addresses that a group as a peer means.
func (s *snapshot) members(id string) []netip.Addr {
	var out []netip.Addr
	if id == ClusterGroup {
		out = slices.Clone(s.nodeAddrs)
	}
	for i := range s.endpoints {
		if e := &s.endpoints[i]; slices.Contains(e.groups, id) || !e.pooled && id == ClusterGroup {
			out = append(out, e.addrs...)
		}
	}
	return out
}

// podGroups are the groups of a pod of the pool.
func podGroups(pod *corev1.Pod) []string {
	var out []string
	for id := range strings.SplitSeq(pod.Annotations[GroupsAnnotation], ",") {
		if id = strings.TrimSpace(id); id != "" {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return []string{ClusterGroup}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// groupFile is the file of security groups as it was last good.
type groupFile struct {
	enforcer *Enforcer
	every    time.Duration

	mu     sync.Mutex
	file   *reread.File
	groups map[string]securityGroup
}

func newGroupFile(e *Enforcer, path string, every time.Duration) *groupFile {
	groups, err := parseGroups(nil)
	if err != nil {
		panic(err) // no text has no mistakes
	}
	return &groupFile{enforcer: e, file: reread.New(path), every: every, groups: groups}
}

// watch looks at the file until ctx ends and asks for a sync when it changed.
func (g *groupFile) watch(ctx context.Context) {
	look := time.NewTicker(g.every)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if g.look() {
				g.enforcer.kick()
			}
		}
	}
}

// look takes over what the file says now and tells whether that is news. A file that
// cannot be read changes nothing.
func (g *groupFile) look() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	data, news, err := g.file.Next()
	if err == nil && !news {
		return false
	}
	var groups map[string]securityGroup
	if err == nil {
		groups, err = parseGroups(data)
	}
	if err != nil {
		g.enforcer.log.Error("the security groups cannot be read; those read before stay in force", "error", err)
		return false
	}
	g.groups = groups
	return true
}

func (g *groupFile) current() map[string]securityGroup {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.groups
}
