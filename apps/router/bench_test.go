package router_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

// benchmarkRequests measures requests for one URL over kept connections, client and
// app included, since all run in this process.
func benchmarkRequests(b *testing.B, client *http.Client, url string) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Get(url) // the client has a timeout
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				b.Errorf("status %d", res.StatusCode)
			}
		}
	})
}

// BenchmarkDirect is the app without the edge: what to compare the others with.
func BenchmarkDirect(b *testing.B) {
	address := app(b, say("ok"))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience}
	benchmarkRequests(b, client, "http://"+address+"/")
}

// attacks goes on a hundred times a second: attacker, edge and apps share the processors
// here, and without a pause it would be the attacker's work that is measured.
func attacks(ctx context.Context, attack func()) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		attack()
	}
}

// BenchmarkNeighbour is the p50 and p99 of one app's requests, by themselves and while
// another app is attacked: by clients that send a byte now and then, by handshakes for
// names nobody has and by header bombs.
func BenchmarkNeighbour(b *testing.B) {
	for name, attack := range map[string]func(*edge, context.Context){
		"Alone": func(*edge, context.Context) {},
		"BesideSlowClients": func(e *edge, _ context.Context) {
			e.drip(b, 500, "GET / HTTP/1.1\r\nHost: "+shop+"\r\nX-Slow: ")
		},
		"BesideUnknownNames": func(e *edge, ctx context.Context) {
			go attacks(ctx, func() { _, _ = e.certificateFor("unknown.example") })
		},
		"BesideHeaderBombs": func(e *edge, ctx context.Context) {
			bomb := strings.Repeat("a", 128<<10)
			client := e.client(b, false)
			go attacks(ctx, func() {
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+shop+"/", http.NoBody)
				r.Header.Set("X-Bomb", bomb)
				if res, err := client.Do(r); err == nil {
					_ = res.Body.Close()
				}
			})
		},
	} {
		b.Run(name, func(b *testing.B) {
			e := start(b, "")
			e.expectsCut = true
			e.serve("web", shop, app(b, say("shop")))
			e.serve("other", "other.acme.berth.localhost", app(b, say("ok")))
			client := e.client(b, false)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			attack(e, ctx)
			var took []time.Duration
			for b.Loop() {
				begun := time.Now()
				res, err := client.Get("https://other.acme.berth.localhost/") // the client has a timeout
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkProxied1000Routes goes through the edge, whose table has a thousand routes.
func BenchmarkProxied1000Routes(b *testing.B) {
	for name, http2 := range map[string]bool{"HTTP1": false, "HTTP2": true} {
		b.Run(name, func(b *testing.B) {
			e := start(b, "")
			for i := range 1000 {
				tenant := fmt.Sprint("tenant", i/10)
				tabletest.Add(&e.sources, tenant, fmt.Sprintf("c%07d", i/10), fmt.Sprint("web", i%10),
					fmt.Sprintf("web%d.%s.%s", i%10, tenant, tabletest.Domain), "10.0.0.1:80", "10.0.0.2:80")
			}
			e.serve("web", shop, app(b, say("ok")))
			b.ResetTimer()
			benchmarkRequests(b, e.client(b, http2), "https://"+shop+"/")
		})
	}
}
