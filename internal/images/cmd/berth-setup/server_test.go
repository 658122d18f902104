package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fakeServer answers lists from a table and empties the pool after some rounds.
type fakeServer struct {
	tenants []string
	// rounds is how many more times the pool's cluster is listed once it is deleted.
	rounds  atomic.Int32
	deleted atomic.Bool
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var names []string
	switch plural := strings.TrimPrefix(r.URL.Path, berthPath); {
	case r.Method == http.MethodDelete && plural == "hostclusters":
		f.deleted.Store(true)
	case plural == "tenants":
		names = f.tenants
	case plural == "hostclusters" && f.rounds.Load() > 0, plural == "virtualclusters" && f.rounds.Add(-1) >= 0:
		names = []string{plural + "-left"}
	}
	items := []map[string]any{}
	for _, name := range names {
		items = append(items, map[string]any{"metadata": map[string]string{"name": name}})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items})
}

func TestDrain(t *testing.T) {
	ticks := make(chan time.Time)
	close(ticks)
	drain := func(ctx context.Context, t *testing.T, fake http.Handler, tick <-chan time.Time) error {
		t.Helper()
		listener := httptest.NewServer(fake)
		t.Cleanup(listener.Close)
		return (&server{url: listener.URL, token: "secret", client: listener.Client()}).drain(ctx, tick)
	}
	t.Run("it refuses while there are tenants, names them and deletes nothing", func(t *testing.T) {
		fake := &fakeServer{tenants: []string{"acme", "other"}}
		err := drain(t.Context(), t, fake, ticks)
		if err == nil || !strings.Contains(err.Error(), "acme, other") || fake.deleted.Load() {
			t.Errorf("got %v, deleted %v", err, fake.deleted.Load())
		}
	})
	t.Run("it waits until the pool is empty", func(t *testing.T) {
		fake := &fakeServer{}
		fake.rounds.Store(3)
		if err := drain(t.Context(), t, fake, ticks); err != nil || !fake.deleted.Load() {
			t.Errorf("got %v, deleted %v", err, fake.deleted.Load())
		}
	})
	t.Run("it says what is left when its time is over", func(t *testing.T) {
		fake := &fakeServer{}
		fake.rounds.Store(1 << 30)
		// The answers stop when the context ends, whichever request is under way.
		ctx, cancel := context.WithCancel(t.Context())
		counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fake.ServeHTTP(w, r)
			if fake.rounds.Load() < 1<<30 {
				cancel()
			}
		})
		if err := drain(ctx, t, counted, nil); err == nil {
			t.Error("no error")
		}
	})
	t.Run("kinds that are gone already are no obstacle", func(t *testing.T) {
		if err := drain(t.Context(), t, http.NotFoundHandler(), ticks); err != nil {
			t.Error(err)
		}
	})
}

func TestApplyKindsAppliesEveryKindUnderItsOwnName(t *testing.T) {
	var applied []string
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPatch || r.Header.Get("Content-Type") != "application/apply-patch+yaml" {
			t.Errorf("%s %s", r.Method, r.Header.Get("Content-Type"))
		}
		applied = append(applied, strings.TrimPrefix(r.URL.Path, kindsPath))
		_, _ = w.Write([]byte("{}"))
	}))
	defer listener.Close()
	if err := (&server{url: listener.URL, client: listener.Client()}).applyKinds(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "apps.berth.dev certificates.berth.dev domainclaims.berth.dev domains.berth.dev hostclusters.berth.dev plans.berth.dev releases.berth.dev routes.berth.dev tenants.berth.dev virtualclusters.berth.dev"
	if got := strings.Join(applied, " "); got != want {
		t.Errorf("applied %s, want %s", got, want)
	}
}
