package router_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

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
