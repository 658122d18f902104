package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sort"
	"sync"
	"testing"
	"time"
)

func newRequest(t *testing.T, url string) (*http.Request, error) {
	t.Helper()
	return http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
}

// load is a steady stream of requests.
type load struct {
	stop      func()
	done      chan struct{}
	start     time.Time
	perSecond int

	mu       sync.Mutex
	latency  []time.Duration
	failures []string
}

// startLoad sends perSecond requests a second until it is stopped. A request that is not
// answered with 200 has failed; none is tried again.
func startLoad(t *testing.T, url string, perSecond int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop, done: make(chan struct{}), start: time.Now(), perSecond: perSecond}
	go func() {
		defer close(l.done)
		var running sync.WaitGroup
		defer running.Wait()
		ticker := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				running.Go(func() { l.request(url) })
			}
		}
	}()
	return l
}

func (l *load) request(url string) {
	start := time.Now()
	response, err := berth.http.Get(url)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %s", response.Status)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latency = append(l.latency, time.Since(start))
	if err != nil {
		l.failures = append(l.failures, fmt.Sprintf("%s: %v", start.Format("15:04:05.000"), err))
	}
}

// end stops the load and fails the scenario for every failed request. It also fails when
// far fewer requests were sent than promised: a lighter load proves less.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	elapsed := time.Since(l.start)
	<-l.done
	sent, planned := len(l.latency), int(elapsed.Seconds()*float64(l.perSecond))
	if sent*10 < planned*9 {
		t.Errorf("only %d of %d requests were sent in %s", sent, planned, elapsed.Round(time.Millisecond))
	}
	if sent == 0 {
		return
	}
	sort.Slice(l.latency, func(i, j int) bool { return l.latency[i] < l.latency[j] })
	at := func(quantile float64) time.Duration { return l.latency[int(quantile*float64(sent-1))] }
	t.Logf("%d requests in %s, %d failed, p50 %s, p99 %s, longest %s", sent, elapsed.Round(time.Millisecond), len(l.failures), at(0.5), at(0.99), at(1))
	if len(l.failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(l.failures), sent, l.failures[0])
	}
}
