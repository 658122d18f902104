package clusters

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func TestAHostIsReachedOnlyIfItsAPIServerSaysThatItIsReady(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		within time.Duration
		want   bool
	}{
		"ready":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }, time.Minute, true},
		"not ready": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, time.Minute, false},
		"overloaded, with a time to come again": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}, time.Minute, false},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 50 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/readyz" {
					t.Errorf("it asks for %s", r.URL.Path)
				}
				asked.Add(1)
				test.answer(w, r)
			}))
			defer server.Close()
			reach, err := Reach(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), test.within)
			defer cancel()
			if err := reach(ctx, &v1alpha1.HostCluster{}); (err == nil) != test.want {
				t.Errorf("got %v, want it reached: %t", err, test.want)
			}
			if got := asked.Load(); got != 1 {
				t.Errorf("it asked %d times, want once", got)
			}
		})
	}
}
