package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// proofAddress is one of the network of pods, from which an instance fetches proofs, and the
// last of it: a pod would get it after thousands.
const proofAddress = "10.244.15.250"

// unproven has a host looked at and wants its owner to be told that it is not proven.
func unproven(t *testing.T, tenant, host string) {
	t.Helper()
	out, errOut, code := berth.try(t, "domains:check", host, "-t", tenant)
	d := berth.domainInfo(t, tenant, host)
	status, reason := d.condition(berthv1.ConditionOwned)
	if code == 0 || d.Owned || status != "False" || reason != berthv1.ReasonNotProven {
		t.Errorf("%s is not proven by %s, but Owned is %s (%s), domains:check ends with %d and says %s%s", host, tenant, status, reason, code, out, errOut)
	}
}

// condition is the status and the reason of a domain's condition.
func (d *domain) condition(kind string) (status, reason string) {
	for _, c := range d.Conditions {
		if c.Type == kind {
			return c.Status, c.Reason
		}
	}
	return "", ""
}

// provenByFile proves a host with what it answers over HTTP. The same answer proves neither
// another tenant's host nor the same host again, whatever it is asked for.
func provenByFile(t *testing.T) {
	host, replay := "file."+ownDomain, "replay-"+ownDomain
	server := serveProofs(t)
	berth.setRecords(t, map[string]string{host: "A " + proofAddress, replay: "A " + proofAddress})
	added := berth.addDomain(t, "owner", host, "-a", "hello")
	unproven(t, "owner", host)
	address, err := url.Parse(added.Proof.URL)
	if err != nil || address.Host != host {
		t.Fatalf("the file asked for is %q (%v), want one at %s", added.Proof.URL, err, host)
	}
	server.wasAsked(t, added.Proof.URL)
	server.answer(address.Path, added.Proof.Answer)
	berth.berth(t, "domains:check", host, "-t", "owner")
	ownAnswers(t, host, "/version", 200, "1")

	server.answer("", added.Proof.Answer) // to whatever is asked
	theirs := berth.addDomain(t, "thief", replay, "-a", "hello")
	unproven(t, "thief", replay)
	server.wasAsked(t, theirs.Proof.URL)
	berth.berth(t, "domains:remove", host, "-t", "owner")
	again := berth.addDomain(t, "owner", host, "-a", "hello")
	unproven(t, "owner", host)
	if again.Proof.URL == added.Proof.URL {
		t.Errorf("a host that is added again is to be proven by the same file, %s", again.Proof.URL)
	}
	eventually(t, 15*time.Second, host+" is not served", func() (bool, string) {
		served, what := berth.answer(ownURL(host, "/version"))
		return !served, what
	})
}

// proofServer answers what hosts that lead to it are asked for.
type proofServer struct {
	mu sync.Mutex
	// texts by path; that of the empty path is for every other one.
	texts map[string]string
	// asked are hosts with paths.
	asked []string
}

// serveProofs answers at proofAddress until the scenario is over, and has no text yet.
func serveProofs(t *testing.T) *proofServer {
	t.Helper()
	node := berth.nodePID(t)
	if out, err := onNode(node, "ip", "address", "replace", proofAddress+"/32", "dev", "node0").CombinedOutput(); err != nil {
		t.Fatalf("adding the address of the proofs: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = onNode(node, "ip", "address", "del", proofAddress+"/32", "dev", "node0").Run() })
	listener, err := listenOnNode(node, proofAddress+":80")
	if err != nil {
		t.Fatal(err)
	}
	p := &proofServer{texts: map[string]string{}}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	return p
}

// ServeHTTP answers with the text for a path.
func (p *proofServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r.Host+r.URL.Path)
	text, ok := p.texts[r.URL.Path]
	if !ok {
		text, ok = p.texts[""]
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, text)
}

func (p *proofServer) answer(path, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts[path] = text
}

// wasAsked fails the scenario unless somebody has looked at an address: else what is said of
// the proof says nothing.
func (p *proofServer) wasAsked(t *testing.T, address string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.asked, strings.TrimPrefix(address, "http://")) {
		t.Errorf("nobody has looked for %s; looked for: %v", address, p.asked)
	}
}

// listenOnNode listens in the node's network, with this process.
func listenOnNode(node int, address string) (listener net.Listener, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread stays in that network, so it ends with this function.
		runtime.LockOSThread()
		var network *os.File
		if network, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", node)); err != nil {
			return
		}
		defer network.Close()
		if err = unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err == nil {
			listener, err = net.Listen("tcp", address)
		}
	}()
	<-done
	return listener, err
}

// noneWithoutTLS sends requests of all kinds without TLS to hosts and wants each to be
// answered by the edge with the status given: it leads to HTTPS or is refused. The tenant's
// hello app, to which these hosts lead, sees none of them.
func noneWithoutTLS(t *testing.T, tenant string, hosts map[string]int) {
	t.Helper()
	for host, want := range hosts {
		for kind, send := range map[string]func(*http.Request){
			http.MethodGet:  func(*http.Request) {},
			http.MethodPost: func(r *http.Request) { r.Method = http.MethodPost },
			"WEBSOCKET": func(r *http.Request) {
				r.Header = http.Header{
					"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
					"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
				}
			},
		} {
			path := "/without-tls-" + strings.ToLower(kind)
			request, err := newRequest(t, fmt.Sprintf("http://%s:%d%s", host, berth.up.HTTPPort, path))
			if err != nil {
				t.Fatal(err)
			}
			send(request)
			status, leads := answeredOnce(t, request)
			toTLS := ""
			if want == http.StatusPermanentRedirect {
				toTLS = ownURL(host, path)
			}
			if status != want || leads != toTLS {
				t.Errorf("%s http://%s%s is answered with %d and leads to %q, want %d and %q", kind, host, path, status, leads, want, toTLS)
			}
		}
	}
	// The twin, without which an app that notes nothing would do.
	in := []string{"-t", tenant, "-a", "hello"}
	berth.get(t, berth.url("hello."+tenant, "/after-all-with-tls"))
	var said string
	eventually(t, 30*time.Second, "the app has noted the request with TLS", func() (bool, string) {
		said = berth.berth(t, append([]string{"logs"}, in...)...)
		return strings.Contains(said, "GET /after-all-with-tls"), said
	})
	if strings.Contains(said, "/without-tls-") {
		t.Errorf("the app has seen requests that came without TLS:\n%s", said)
	}
}

// answeredOnce sends a request and gives the status and where the answer leads, without going
// there.
func answeredOnce(t *testing.T, request *http.Request) (status int, leads string) {
	t.Helper()
	once := *berth.http
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := once.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", request.Method, request.URL, err)
	}
	defer response.Body.Close()
	return response.StatusCode, response.Header.Get("Location")
}
