package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// tapTable counts the connections that one pod begins, before the network policies look at
// them and after: what is missing afterwards was dropped in between. The policies' own
// counters are the whole node's, where at any time somebody else may be refused something.
const tapTable = `add table inet berth-e2e
delete table inet berth-e2e
table inet berth-e2e {
	counter sent { }
	counter passed { }
	chain forward-before { type filter hook forward priority -50; ip saddr %[1]s ct state new counter name sent; }
	chain forward-after { type filter hook forward priority 50; ip saddr %[1]s ct state new counter name passed; }
	chain input-before { type filter hook input priority -50; ip saddr %[1]s ct state new counter name sent; }
	chain input-after { type filter hook input priority 50; ip saddr %[1]s ct state new counter name passed; }
}
`

// tap listens in on one pod.
type tap struct{ node int }

// packets are first packets of connections: sent and passed by the pod that is listened in
// on, refused by the egress policies of any pod on the node.
type packets struct{ sent, passed, refused int }

// newTap begins to count what the pod with an address sends.
func newTap(t *testing.T, node int, podIP string) *tap {
	t.Helper()
	load := onNode(node, "nft", "-f", "-")
	load.Stdin = strings.NewReader(fmt.Sprintf(tapTable, podIP))
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("counting packets of %s: %v: %s", podIP, err, out)
	}
	t.Cleanup(func() { _ = onNode(node, "nft", "delete", "table", "inet", "berth-e2e").Run() })
	return &tap{node: node}
}

// drops requires that a probe waits in vain, that each of its packets was sent and none
// passed, and that the egress policies count them; and that in a time as long before
// it the pod sent nothing, so that the packets are the probe's.
func (p *tap) drops(t *testing.T, window time.Duration, probe func() string) {
	t.Helper()
	p.idle(t, window)
	before := p.read(t)
	got := probe()
	after := p.read(t)
	if got != "timeout" {
		t.Errorf("the tenant's probe says %q, want a dropped packet", got)
	}
	sent := after.sent - before.sent
	if sent == 0 || after.passed != before.passed || after.refused-before.refused < sent {
		t.Errorf("not all packets were dropped by the egress policies: %+v before, %+v after", before, after)
	}
}

// idle waits for a window in which the pod begins no connection. A few may come.
func (p *tap) idle(t *testing.T, window time.Duration) {
	t.Helper()
	for range 5 {
		before := p.read(t)
		time.Sleep(window) // as long as the probe will take
		if after := p.read(t); after.sent == before.sent && after.passed == before.passed {
			return
		}
	}
	t.Fatalf("the pod never is idle for %s: its packets could not be told from the probe's", window)
}

func (p *tap) read(t *testing.T) packets {
	t.Helper()
	own, policies := p.counters(t, "berth-e2e"), p.counters(t, "berth-netpol")
	return packets{sent: own["sent"], passed: own["passed"], refused: policies["drop-egress"]}
}

// counters are the named counters of a table of the node.
func (p *tap) counters(t *testing.T, table string) map[string]int {
	t.Helper()
	out, err := onNode(p.node, "nft", "--json", "list", "counters", "table", "inet", table).Output()
	if err != nil {
		t.Fatalf("reading the counters of %s: %v", table, err)
	}
	var listing struct {
		Nftables []struct {
			Counter *struct {
				Name    string
				Packets int
			}
		}
	}
	if err := json.Unmarshal(out, &listing); err != nil {
		t.Fatal(err)
	}
	counters := map[string]int{}
	for _, item := range listing.Nftables {
		if item.Counter != nil {
			counters[item.Counter.Name] = item.Counter.Packets
		}
	}
	return counters
}
