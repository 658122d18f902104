package localcluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// standIn is a process with a network namespace of its own and a node's addresses in it.
type standIn struct {
	t       *testing.T
	process *exec.Cmd
	running Running
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	s := &standIn{t: t, process: exec.Command("sleep", "60")}
	s.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	s.running = Running{NodePID: s.process.Process.Pid, NodeBorn: born(s.process.Process.Pid), Up: true}
	namespace := s.open()
	_, err := inside(namespace, func() (any, error) {
		loopback, err := netlink.LinkByName("lo")
		if err != nil {
			return nil, err
		}
		for _, address := range []string{nodeCIDR, edgeServiceIP + "/32"} {
			parsed, err := netlink.ParseAddr(address)
			if err == nil {
				err = netlink.AddrAdd(loopback, parsed)
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, netlink.LinkSetUp(loopback)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *standIn) end() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func (s *standIn) open() *os.File {
	s.t.Helper()
	namespace, err := openNamespace(s.running)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { namespace.Close() })
	return namespace
}

// serve answers connections within the namespace by a name and then says what it is told.
func (s *standIn) serve(address, name string) {
	s.t.Helper()
	listener, err := listenInside(s.open(), address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				fmt.Fprintln(connection, name)
				_, _ = io.Copy(connection, connection)
			}()
		}
	}()
}

// dial connects within the namespace and reads who answers; "" is nobody.
func (s *standIn) dial(address string) (*net.TCPConn, string) {
	s.t.Helper()
	connection, err := dialInside(s.open(), address)
	if err != nil {
		return nil, ""
	}
	s.t.Cleanup(func() { connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	line, _ := bufio.NewReader(connection).ReadString('\n')
	return connection, strings.TrimSpace(line)
}

// is makes a process the node of an instance.
func (s *standIn) is(instance *Instance) {
	s.t.Helper()
	if err := writeJSON(instance.path("run", "supervisor.json"), s.running); err != nil {
		s.t.Fatal(err)
	}
}

// linkStage is a host and the instance it is a host of, each with a namespace.
type linkStage struct {
	*linker
	here, there *standIn
}

// linkedEdgePort leads to the host's edge, anotherEdgePort to that of another host.
const (
	linkedEdgePort  = firstEdgePort + 3
	anotherEdgePort = lastEdgePort
)

func newLinkStage(t *testing.T) *linkStage {
	t.Helper()
	host := testInstance(t)
	other, err := Open("other")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(other.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	alive, err := other.takeAlive()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { alive.Close() })
	s := &linkStage{here: newStandIn(t)}
	s.here.serve(edgeInside, "the host's edge")
	s.linker = &linker{host: host, node: s.here.running, other: other, edgePort: linkedEdgePort, log: slog.New(slog.DiscardHandler)}
	t.Cleanup(s.cut)
	return s
}

// starts has the other instance run in a new namespace.
func (s *linkStage) starts(t *testing.T, name string) {
	t.Helper()
	s.there = newStandIn(t)
	s.there.serve(onNode(apiPort), name+"'s API server")
	s.there.serve(onNode(registryPort), name+"'s registry")
	s.there.serve(edgeInside, name+"'s edge")
	s.there.serve(onNode(anotherEdgePort), "the edge of "+name+"'s other host")
	s.there.is(s.other)
}

// lead checks where the links lead to, and what is said of them.
func (s *linkStage) lead(t *testing.T, name string) {
	t.Helper()
	for address, want := range map[string]string{
		onNode(managementAPIPort): name + "'s API server", onNode(managementRegistryPort): name + "'s registry",
		onNode(managementEdgePort): name + "'s edge", onNode(anotherEdgePort): "the edge of " + name + "'s other host",
	} {
		if _, got := s.here.dial(address); got != want {
			t.Errorf("on the host %s answers at %s, want %s", got, address, want)
		}
	}
	if _, got := s.there.dial(onNode(linkedEdgePort)); got != "the host's edge" {
		t.Errorf("%q answers instead of the host's edge", got)
	}
	s.says(t, Links{Up: true})
}

func (s *linkStage) says(t *testing.T, want Links) {
	t.Helper()
	got, err := s.host.Links()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("the links (-want +got): %s%v", diff, err)
	}
}

func TestLinksLeadFromEachNamespaceIntoTheOther(t *testing.T) {
	s := newLinkStage(t)
	s.starts(t, "berth")
	s.look()
	s.lead(t, "berth")
	connection, _ := s.here.dial(onNode(managementAPIPort))
	if connection == nil {
		t.Fatal("nobody answers")
	}
	// One direction ends before the other, as of a request with an answer after it.
	if _, err := io.WriteString(connection, "echo"); err != nil {
		t.Fatal(err)
	}
	_ = connection.CloseWrite()
	if got, err := io.ReadAll(connection); string(got) != "echo" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	s.look() // changes nothing
	s.lead(t, "berth")
}

func TestLinksFollowTheOtherInstance(t *testing.T) {
	s := newLinkStage(t)
	down := Links{Problem: `instance "other" does not run`}
	s.look()
	s.says(t, down)

	s.starts(t, "first")
	s.look()
	s.lead(t, "first")
	held, _ := s.here.dial(onNode(managementAPIPort))
	if held == nil {
		t.Fatal("nobody answers")
	}

	s.there.end()
	s.look()
	s.says(t, down)
	if _, got := s.here.dial(onNode(managementAPIPort)); got != "" {
		t.Errorf("%s answers in the name of an instance that has ended", got)
	}
	if _, err := held.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection to an instance that has ended is held: %v", err)
	}

	s.starts(t, "second")
	s.look()
	s.lead(t, "second")
}

// It has started again before anybody looked.
func TestLinksDoNotStayWithAnEarlierLife(t *testing.T) {
	s := newLinkStage(t)
	s.starts(t, "first")
	s.look()
	s.starts(t, "second") // the first one's process is there still
	s.look()
	s.lead(t, "second")
}

// A node that has only just started has no address yet.
func TestLinksAreTriedAgain(t *testing.T) {
	s := newLinkStage(t)
	s.starts(t, "berth")
	busy, err := listenInside(s.there.open(), onNode(linkedEdgePort))
	if err != nil {
		t.Fatal(err)
	}
	s.look()
	if links, err := s.host.Links(); links.Up || !strings.Contains(links.Problem, fmt.Sprint(linkedEdgePort)) || err != nil {
		t.Errorf("the links are %+v, %v", links, err)
	}
	if _, got := s.here.dial(onNode(managementAPIPort)); got != "" {
		t.Errorf("%s answers although the links are down", got)
	}
	busy.Close()
	s.look()
	s.lead(t, "berth")
}

// A namespace lives as long as somebody has it open.
func TestCutLinksLetTheNamespaceGo(t *testing.T) {
	s := newLinkStage(t)
	s.starts(t, "berth")
	before := s.there.held()
	s.look()
	if s.there.held() == before {
		t.Error("the links do not hold the namespace, or this test does not see it")
	}
	s.cut()
	if after := s.there.held(); after != before {
		t.Errorf("the namespace is held %d times, %d before", after, before)
	}
	if _, got := s.there.dial(onNode(linkedEdgePort)); got != "" {
		t.Errorf("%s answers where links have been cut", got)
	}
}

// held counts how often this process has the namespace open.
func (s *standIn) held() int {
	s.t.Helper()
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", s.running.NodePID))
	if err != nil {
		s.t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		s.t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		if target, _ := os.Readlink("/proc/self/fd/" + file.Name()); target == namespace {
			count++
		}
	}
	return count
}
