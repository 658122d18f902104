package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func newRequest(t *testing.T, url string) (*http.Request, error) {
	t.Helper()
	return http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
}

// oneIn is how rare the slow requests and those on fresh connections are: one in so many
// of each. Of 200 requests a second ten are slow, and about twenty of those are under way
// at any time: a process that ends before it has answered all of them is noticed.
const oneIn = 20

// load is a steady stream of requests of three kinds.
type load struct {
	start     time.Time
	perSecond int
	stop      func()
	done      chan struct{}

	mu                 sync.Mutex // of what the kinds counted
	quick, fresh, slow *traffic   // slow is nil where nothing answers slowly
}

// traffic is what was sent of one kind, and what came of it.
type traffic struct {
	kind     string
	method   string
	client   *http.Client
	url      string
	allowed  []string
	latency  []time.Duration
	failures []string
}

// startLoad sends perSecond requests a second until it is stopped: most on one connection
// and answered at once, some on a connection of their own, some answered after two seconds.
// A request that is not answered with 200 has failed, and so has one whose answer is none
// of the allowed, if any are named. All are POST, which nobody on the way sends twice as
// they would a GET.
func startLoad(t *testing.T, address string, perSecond int, allowed ...string) *load {
	t.Helper()
	slow, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	slow.Path, slow.RawQuery = "/slow", "ms=2000"
	l := newLoad(t, http.MethodPost, address, perSecond, allowed)
	l.slow = &traffic{kind: "slow", method: http.MethodPost, client: berth.http, url: slow.String(), allowed: []string{"done"}}
	l.begin(t)
	return l
}

// startReading is startLoad for an app that only GET is for, and that answers at once.
func startReading(t *testing.T, address string, perSecond int) *load {
	t.Helper()
	l := newLoad(t, http.MethodGet, address, perSecond, nil)
	l.begin(t)
	return l
}

func newLoad(t *testing.T, method, address string, perSecond int, allowed []string) *load {
	t.Helper()
	shared, ok := berth.http.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the scenarios' client has a %T", berth.http.Transport)
	}
	transport := shared.Clone()
	transport.DisableKeepAlives = true
	return &load{
		perSecond: perSecond, done: make(chan struct{}),
		quick: &traffic{kind: "quick", method: method, client: berth.http, url: address, allowed: allowed},
		fresh: &traffic{kind: "on a fresh connection", method: method, client: &http.Client{Timeout: berth.http.Timeout, Transport: transport}, url: address, allowed: allowed},
	}
}

func (l *load) begin(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l.start, l.stop = time.Now(), stop
	go l.run(ctx)
}

// run sends by a schedule: what a busy machine delays is sent late, not left out.
func (l *load) run(ctx context.Context) {
	defer close(l.done)
	var running sync.WaitGroup
	defer running.Wait()
	for n := 0; ; n++ {
		due := l.start.Add(time.Duration(n) * time.Second / time.Duration(l.perSecond))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		traffic := l.quick
		switch {
		case n%oneIn == 0 && l.slow != nil:
			traffic = l.slow
		case n%oneIn == oneIn/2:
			traffic = l.fresh
		}
		running.Go(func() { l.send(traffic) })
	}
}

func (l *load) send(what *traffic) {
	start := time.Now()
	err := what.request()
	took := time.Since(start)
	l.mu.Lock()
	defer l.mu.Unlock()
	what.latency = append(what.latency, took)
	if err != nil {
		what.failures = append(what.failures, fmt.Sprintf("%s, after %s: %v", start.Format("15:04:05.000"), took.Round(time.Millisecond), err))
	}
}

func (w *traffic) request() error {
	body := io.Reader(http.NoBody)
	if w.method == http.MethodPost {
		body = strings.NewReader("once")
	}
	request, err := http.NewRequest(w.method, w.url, body)
	if err != nil {
		return err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("status %s: %.200q", response.Status, answer)
	case len(w.allowed) > 0 && !slices.Contains(w.allowed, string(answer)):
		return fmt.Errorf("the answer is %.200q, not one of %q", answer, w.allowed)
	}
	return nil
}

// end stops the load and fails the scenario for every failed request. It also fails when
// far fewer requests were sent than promised: a lighter load proves less.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	elapsed := time.Since(l.start)
	<-l.done
	sent, planned := 0, int(elapsed.Seconds()*float64(l.perSecond))
	for _, traffic := range []*traffic{l.quick, l.fresh, l.slow} {
		if traffic == nil {
			continue
		}
		sent += len(traffic.latency)
		traffic.report(t)
	}
	t.Logf("%d requests in %s", sent, elapsed.Round(time.Millisecond))
	if sent*10 < planned*9 {
		t.Errorf("only %d of %d requests were sent in %s", sent, planned, elapsed.Round(time.Millisecond))
	}
}

func (w *traffic) report(t *testing.T) {
	t.Helper()
	if len(w.latency) == 0 {
		t.Errorf("no request was %s", w.kind)
		return
	}
	slices.Sort(w.latency)
	t.Logf("%s: %d requests, %d failed, p50 %s, p99 %s, longest %s", w.kind, len(w.latency), len(w.failures), w.at(0.5), w.at(0.99), w.at(1))
	if len(w.failures) > 0 {
		t.Errorf("%s: %d of %d requests failed, the first:\n%s", w.kind, len(w.failures), len(w.latency),
			strings.Join(w.failures[:min(3, len(w.failures))], "\n"))
	}
}

// at is how long so large a part of the requests took at most, once they are reported. Where
// none was sent, which a report fails for, it is zero.
func (w *traffic) at(quantile float64) time.Duration {
	if len(w.latency) == 0 {
		return 0
	}
	return w.latency[int(quantile*float64(len(w.latency)-1))].Round(10 * time.Microsecond)
}
