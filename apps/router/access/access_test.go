package access

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newLog(t *testing.T) *Log {
	t.Helper()
	l, err := New(nil, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// request is the nth of an app.
func request(app string, n int) Line {
	return Line{Time: epoch.Add(time.Duration(n) * time.Second), Tenant: "acme", App: app, Path: fmt.Sprint("/", n)}
}

// ask reads from the handler.
func ask(t *testing.T, l *Log, query string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/access?"+query, http.NoBody))
	return w
}

// paths are those of the lines in an answer.
func paths(t *testing.T, body *bytes.Buffer) (all []string) {
	t.Helper()
	for scanner := bufio.NewScanner(body); scanner.Scan(); {
		var line Line
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line.Path)
	}
	return all
}

func TestAnAppsNewestLines(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	for n := range LinesPerApp + 3 {
		l.take(encode(request("shop", n)))
	}
	l.take(encode(request("other", 0)))
	last := fmt.Sprint("/", LinesPerApp+2)
	if got := paths(t, ask(t, l, "tenant=acme&app=shop").Body); len(got) != LinesPerApp || got[0] != "/3" || got[len(got)-1] != last {
		t.Errorf("%d lines from %v", len(got), got[0])
	}
	since := epoch.Add((LinesPerApp + 1) * time.Second).Format(time.RFC3339)
	if got := paths(t, ask(t, l, "tenant=acme&app=shop&since="+since).Body); len(got) != 1 || got[0] != last {
		t.Errorf("after a time come %v", got)
	}
	if got := paths(t, ask(t, l, "tenant=globex&app=shop").Body); got != nil {
		t.Errorf("another tenant's app gets %v", got)
	}
}

func TestWhatIsAskedForMustBeNamed(t *testing.T) {
	t.Parallel()
	for query, field := range map[string]string{"": "tenant", "tenant=acme": "app", "tenant=acme&app=shop&since=yesterday": "since"} {
		if got := ask(t, newLog(t), query); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), field) {
			t.Errorf("%q gives %d %s", query, got.Code, got.Body)
		}
	}
}

func TestALoudAppCostsAQuietOneNothing(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	l.limit = 20 << 10
	l.take(encode(request("quiet", 1)))
	for n := range LinesPerApp {
		l.take(encode(request("loud", n)))
	}
	if l.size > l.limit {
		t.Errorf("%d bytes are kept, more than %d", l.size, l.limit)
	}
	if got := paths(t, ask(t, l, "tenant=acme&app=quiet").Body); len(got) != 1 {
		t.Errorf("the quiet app has %v left", got)
	}
	loud := paths(t, ask(t, l, "tenant=acme&app=loud").Body)
	if len(loud) < 10 || loud[len(loud)-1] != fmt.Sprint("/", LinesPerApp-1) {
		t.Errorf("the loud app has %v left", loud)
	}
}

func TestALineIsBounded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := newLog(t)
	l.out = &out
	l.take(encode(Line{
		Tenant: "acme", App: "shop", Method: strings.Repeat("M", 9000),
		Path: "/" + strings.Repeat("é", 9000), UserAgent: strings.Repeat("\"", 9000),
	}))
	l.flush()
	var line Line
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("%v: %s", err, &out)
	}
	if out.Len() > 3000 || !strings.HasSuffix(line.Path, "é…") || !strings.HasSuffix(line.UserAgent, "\"…") {
		t.Errorf("%d bytes: %s", out.Len(), &out)
	}
}

func TestNotingNeverWaits(t *testing.T) {
	t.Parallel()
	l := newLog(t) // and nobody writes
	for n := range queued + 7 {
		l.Note(request("shop", n))
	}
	if got := l.dropped.Load(); got != 7 {
		t.Errorf("%d lines were dropped, want 7", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Run(ctx)
	if got := testutil.ToFloat64(l.lines); got != queued {
		t.Errorf("%v lines were written at the end, want %d", got, queued)
	}
	(*Log)(nil).Note(Line{})
}

func TestLinesAreFollowed(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	l.take(encode(request("shop", 1)))
	server := httptest.NewServer(l)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/access?tenant=acme&app=shop&follow=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewReader(res.Body)
	for n := 1; n < 4; n++ {
		line, err := lines.ReadString('\n')
		if err != nil || !strings.Contains(line, fmt.Sprintf(`"path":"/%d"`, n)) {
			t.Fatalf("the %dth line is %q, %v", n, line, err)
		}
		l.take(encode(request("other", n)))
		l.take(encode(request("shop", n+1)))
	}
}

func TestAReaderThatFallsBehindHoldsUpNobody(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	_, more, end := l.since(key{"acme", "shop"}, time.Time{}, true)
	for n := range followed + 5 {
		l.take(encode(request("shop", n)))
	}
	if got := l.dropped.Load(); len(more) != followed || got != 5 {
		t.Errorf("%d lines wait and %d were dropped", len(more), got)
	}
	end()
	l.shed(l.apps[key{"acme", "shop"}], followed+5)
	_, _, end = l.since(key{"acme", "shop"}, time.Time{}, true)
	end()
	if len(l.apps) != 0 || l.size != 0 {
		t.Errorf("%d apps and %d bytes are left", len(l.apps), l.size)
	}
}

// writes are what is written, each for itself.
type writes chan []byte

func (w writes) Write(p []byte) (int, error) {
	w <- bytes.Clone(p)
	return len(p), nil
}

func TestLinesAreWrittenTogetherAndSoon(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	out := make(writes, 100)
	l.out = out
	const lines = 500
	for n := range lines {
		l.Note(request("shop", n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.Run(ctx)
	count, times := 0, 0
	for ; count < lines; times++ { // by itself, not at the end
		count += bytes.Count(<-out, []byte("\n"))
	}
	if times > 10 {
		t.Errorf("%d lines took %d writes", lines, times)
	}
}

func TestLinesThatWaitKeepNothingOfTheirRequests(t *testing.T) {
	l := newLog(t) // and nobody writes
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const requests, size = 500, 64 << 10
	before := held()
	for range requests {
		first := "GET /short?" + strings.Repeat("q", size) + " HTTP/1.1"
		l.Note(Line{Method: first[:3], Path: first[4:10], Protocol: first[len(first)-8:]})
	}
	if after := held(); after > before+requests*size/2 {
		t.Errorf("%d lines hold %d bytes", requests, after-before)
	}
	runtime.KeepAlive(l)
}
