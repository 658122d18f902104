package netpol

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSpoofedSourcesAreDropped(t *testing.T) {
	w := newTown(t)
	for name, source := range map[string]string{"of the node": nodeIP, "of another pod": w.client.ip, "of nobody": "203.0.113.7"} {
		t.Run("address "+name, func(t *testing.T) {
			w.peer.alias(t, source)
			for _, c := range []struct {
				to      target
				answers string
			}{
				{tcp(w.web, 8080), "web"},
				{udp(w.web, 5353), "web"},
				{tcpAddr(gateway, 10250), "node"},
			} {
				// The honest twin goes first, so that the neighbour's hardware address is known:
				// the kernel does not answer ARP for a source it owns itself.
				c.to.source = w.peer.ip
				w.reaches(t, w.peer, c.to, c.answers)
				c.to.source = source
				w.dropped(t, w.peer, c.to, asSpoofed)
			}
		})
	}
}

// alias gives the host one more address while the test runs.
func (h *host) alias(t *testing.T, ip string) {
	t.Helper()
	change := func(do func(netlink.Link, *netlink.Addr) error) func() error {
		return func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			addr, err := netlink.ParseAddr(ip + "/32")
			if err != nil {
				return err
			}
			return do(lo, addr)
		}
	}
	if err := within(h.ns, change(netlink.AddrAdd)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := within(h.ns, change(netlink.AddrDel)); err != nil {
			t.Error(err)
		}
	})
}

func TestUnknownPodsReachNobody(t *testing.T) {
	w := newTown(t)
	fresh := w.pod("fresh", "10.88.0.9")

	w.dropped(t, fresh, tcp(w.web, 8080), asUnknown)
	w.dropped(t, fresh, tcp(w.node, 10250), asUnknown)
	w.dropped(t, fresh, tcp(w.outside, 8080), asUnknown)
	w.dropped(t, w.peer, tcp(fresh, 8080), asUnknown)
	w.dropped(t, w.outside, tcp(fresh, 8080), asUnknown)
	w.reaches(t, w.node, tcp(fresh, 8080), "fresh") // a probe

	w.run(t, runningPod("red", "fresh", "fresh", fresh.ip))
	w.reaches(t, fresh, tcp(w.web, 8080), "web")
	w.reaches(t, fresh, tcp(w.node, 10250), "node")
	w.reaches(t, w.peer, tcp(fresh, 8080), "fresh")
}

func TestPodsComeAndGo(t *testing.T) {
	w := newTown(t)
	policy := ingressOf(from(pods("friend")))
	w.policy(t, policy)

	oldHost := w.pod("friend", "10.88.0.10")
	old := runningPod("red", "friend", "friend", oldHost.ip)
	w.run(t, old)
	w.reaches(t, oldHost, tcp(w.web, 8080), "web")
	w.dropped(t, w.client, tcp(w.web, 8080), byIngress)

	t.Run("a pod made again with another address keeps its rights, the old address loses them", func(t *testing.T) {
		w.remove(t, old)
		newHost := w.pod("friend", "10.88.0.11")
		w.run(t, runningPod("red", "friend", "friend", newHost.ip))
		w.reaches(t, newHost, tcp(w.web, 8080), "web")
		w.dropped(t, oldHost, tcp(w.web, 8080), asUnknown)
	})
	t.Run("another pod with the old address inherits nothing", func(t *testing.T) {
		w.run(t, runningPod("red", "stranger", "stranger", oldHost.ip))
		w.dropped(t, oldHost, tcp(w.web, 8080), byIngress)
		w.reaches(t, oldHost, tcp(w.peer, 8080), "peer")
	})
	t.Run("a pod that ended is unknown", func(t *testing.T) {
		ended := runningPod("red", "stranger", "stranger", oldHost.ip)
		ended.Status.Phase = "Succeeded"
		if _, err := w.enforced.client.CoreV1().Pods("red").Update(t.Context(), ended, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.await(t, "end of stranger", func(s *snapshot) bool { return !hasAddr(s, oldHost.ip) })
		w.dropped(t, oldHost, tcp(w.peer, 8080), asUnknown)
	})
}

func TestConnections(t *testing.T) {
	w := newTown(t)
	conn, _, err := w.peer.dial(tcp(w.web, 8080), soon)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	echo := func(text string, wait time.Duration) error {
		_ = conn.SetDeadline(time.Now().Add(wait))
		if _, err := fmt.Fprint(conn, text); err != nil {
			return err
		}
		_, err := conn.Read(make([]byte, len(text)))
		return err
	}
	t.Run("one that was allowed lives on under a policy that forbids it", func(t *testing.T) {
		w.policy(t, ingressOf())
		if err := echo("still here", soon); err != nil {
			t.Errorf("the old connection broke: %v", err)
		}
		w.dropped(t, w.peer, tcp(w.web, 8080), byIngress)
	})
	t.Run("those of a pod that is gone are not inherited with its address", func(t *testing.T) {
		w.policy(t, ingressOf())
		w.remove(t, runningPod("red", "peer", "peer", w.peer.ip))
		w.run(t, runningPod("red", "heir", "heir", w.peer.ip))
		if err := echo("heir speaking", lost); err == nil {
			t.Error("the connection of the old pod still carries data")
		}
	})
}

func TestRulesOutliveTheEnforcer(t *testing.T) {
	w := newTown(t)
	w.policy(t, ingressOf(from(pods("peer"))))
	w.stop()
	w.dropped(t, w.client, tcp(w.web, 8080), byIngress)
	w.reaches(t, w.peer, tcp(w.web, 8080), "web")

	if err := w.enforcer.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.reaches(t, w.peer, tcp(w.web, 8080), "web") // an existing table is left alone

	w.start(t, "")
	w.dropped(t, w.client, tcp(w.web, 8080), byIngress)
	w.reaches(t, w.peer, tcp(w.web, 8080), "web")
}

func TestALostTableIsWrittenAgain(t *testing.T) {
	w := newTown(t)
	w.in(w.lab.node, func() error { return nftCommand("delete table inet " + tableName) })
	w.policy(t, ingressOf())
	w.dropped(t, w.peer, tcp(w.web, 8080), byIngress)
	w.reaches(t, w.web, tcp(w.peer, 8080), "peer")
}

func TestAddressesComeFromTheCNICacheFirst(t *testing.T) {
	l := newLab(t)
	early, other := l.pod("early", "10.88.0.20"), l.pod("other", "10.88.0.21")
	dir := filepath.Join(t.TempDir(), "results")
	pod := runningPod("red", "early", "early", early.ip)
	uid := pod.UID
	pod.Status.PodIP, pod.Status.PodIPs = "", nil // kubelet has not reported yet
	w := enforce(t, l, dir, namespace("red", nil), pod, runningPod("red", "other", "other", other.ip))

	w.dropped(t, early, tcp(other, 8080), asUnknown)
	file := filepath.Join(dir, "berth-0123-eth0")
	content := fmt.Sprintf(`{"kind":"cniCacheV1","cniArgs":[["IgnoreUnknown","1"],["K8S_POD_UID",%q]],
		"result":{"cniVersion":"1.0.0","ips":[{"address":"%s/32","gateway":%q}]}}`, uid, early.ip, gateway)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	w.await(t, "address from the cache", func(s *snapshot) bool { return hasAddr(s, early.ip) })
	w.reaches(t, early, tcp(other, 8080), "other")

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	w.await(t, "end of the address", func(s *snapshot) bool { return !hasAddr(s, early.ip) })
	w.dropped(t, early, tcp(other, 8080), asUnknown)
}

// Every link has an IPv6 address of its own, unasked: it must not be a way around.
func TestLinkLocalIPv6IsNoWayToTheNode(t *testing.T) {
	w := newTown(t)
	const link = "veth00000001" // of web, the first pod
	var nodeAddr, podAddr string
	w.in(w.lab.node, func() (err error) {
		nodeAddr, err = linkLocal(link)
		return err
	})
	w.in(w.web.ns, func() (err error) {
		podAddr, err = linkLocal("eth0")
		return err
	})
	w.node.serve("tcp6", "[::]:10251")
	w.web.serve("tcp6", "[::]:7070")
	w.dropped(t, w.web, target{network: "tcp6", addr: "[" + nodeAddr + "%eth0]:10251"}, asUnknown)
	w.reaches(t, w.node, target{network: "tcp6", addr: "[" + podAddr + "%" + link + "]:7070"}, "web")
}

// linkLocal gives a link an address that can be used at once: the kernel's own has to wait for
// duplicate detection.
func linkLocal(name string) (string, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "", err
	}
	ip := fmt.Sprintf("fe80::%x", link.Attrs().Index+0x100*len(name))
	addr, err := netlink.ParseAddr(ip + "/64")
	if err != nil {
		return "", err
	}
	addr.Flags = unix.IFA_F_NODAD
	return ip, netlink.AddrAdd(link, addr)
}
