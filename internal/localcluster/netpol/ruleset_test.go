package netpol

import (
	"net/netip"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/knftables"
)

// transaction is what leads from one state to another, as nft reads it.
func transaction(before, after *snapshot) string {
	tx := knftables.NewFake(knftables.InetFamily, tableName).NewTransaction()
	change(tx, compile(before, "veth*"), compile(after, "veth*"))
	return tx.String()
}

func TestTransactionsAreSmall(t *testing.T) {
	policy := ingressOf(from(pods("db"), pods("new")))
	with := func(more ...endpoint) *snapshot {
		s := village()
		s.policies = []*networkingv1.NetworkPolicy{policy}
		s.endpoints = append(s.endpoints, more...)
		return s
	}
	newcomer := crowdPod("red", 7, "10.0.0.9")
	newcomer.labels["app"] = "new"
	for name, c := range map[string]struct {
		before, after *snapshot
		operations    int
	}{
		"nothing changed: nothing is done":                                {with(), with(), 0},
		"a pod that comes is three elements: known, itself, peer":         {with(), with(newcomer), 3},
		"and when it goes the same three leave":                           {with(newcomer), with(), 3},
		"the first policy: a set, two chains, two rules and two elements": {village(), with(), 8},
	} {
		t.Run(name, func(t *testing.T) {
			text := transaction(c.before, c.after)
			if got := strings.Count(text, "\n"); got != c.operations {
				t.Errorf("%d operations, want %d:\n%s", got, c.operations, text)
			}
		})
	}
}

func TestEveryTraceOfAPodLeavesInOneTransaction(t *testing.T) {
	before, after := crowd(), crowd()
	gone := before.endpoints[33].addrs[0]
	after.endpoints = append(after.endpoints[:33:33], after.endpoints[34:]...)
	next := compile(after, "veth*")
	for name, s := range next.sets {
		for text := range s.elements {
			if !s.interval && strings.Contains(" "+text+" ", " "+gone.String()+" ") {
				t.Errorf("set %s still has %s", name, text)
			}
		}
	}
	if got := departed(compile(before, "veth*"), next); len(got) != 1 || !got[gone.String()] {
		t.Errorf("departed %v, want %s alone", got, gone)
	}
}

// FuzzBlocks compares the ranges with the definition: in the block and in no exception.
func FuzzBlocks(f *testing.F) {
	f.Add("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3")
	f.Add("0.0.0.0/0", "255.255.255.255/32", "255.255.255.255")
	f.Add("2001:db8::/32", "2001:db8::/33", "2001:db8:8000::")
	f.Fuzz(func(t *testing.T, cidr, except, address string) {
		addr, err := netip.ParseAddr(address)
		if err != nil || addr.Zone() != "" {
			return
		}
		ranges, err := blockRanges(block(cidr, except).IPBlock)
		if err != nil {
			return
		}
		got := false
		for _, r := range merge(ranges) {
			got = got || r.contains(addr)
		}
		want := netip.MustParsePrefix(cidr).Contains(addr) && !netip.MustParsePrefix(except).Contains(addr)
		if got != want {
			t.Errorf("%s in %s without %s: %v, want %v", addr, cidr, except, got, want)
		}
	})
}

// FuzzAttachment: whatever is in a cache file, reading it does not panic, and what it takes is complete.
func FuzzAttachment(f *testing.F) {
	f.Add([]byte(`{"cniArgs":[["K8S_POD_UID","u"]],"result":{"ips":[{"address":"10.0.0.1/32"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, ok := parseAttachment(data); ok && (got.pod == "" || len(got.addrs) == 0) {
			t.Errorf("took %+v", got)
		}
	})
}
