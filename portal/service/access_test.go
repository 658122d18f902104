package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	clocktesting "k8s.io/utils/clock/testing"
)

// edge is a router that holds lines and, when followed, sends more.
func edge(t *testing.T, held []AccessLine, more ...AccessLine) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/access" || r.URL.Query().Get("tenant") != "acme" || r.URL.Query().Get("app") != "shop" {
			t.Errorf("got %s", r.URL)
		}
		enc := json.NewEncoder(w)
		for _, line := range held {
			_ = enc.Encode(line)
		}
		fmt.Fprintln(w, "no JSON")
		if r.URL.Query().Get("follow") != "1" {
			return
		}
		for _, line := range more {
			_ = enc.Encode(line)
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func request(second int, id string) AccessLine {
	return AccessLine{
		Time: time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC), Tenant: "acme", App: "shop", Component: "web", RequestID: id, Status: 200,
	}
}

func reader(opts LogOptions) *accessReader {
	s := New(Options{Clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC))})
	return &accessReader{service: s, tenant: "acme", app: "shop", opts: opts, lines: make(chan AccessLine), open: map[string]bool{}, told: map[string]bool{}}
}

func TestOnlyTheAppsOwnRequestsAreTold(t *testing.T) {
	other := request(1, "other")
	other.Tenant = "umbrella"
	db := request(1, "db")
	db.Component = "db"
	router := edge(t, []AccessLine{request(1, "a"), other, db})
	for component, want := range map[string][]string{"": {"a", "db"}, "web": {"a"}} {
		var got []string
		err := reader(LogOptions{Component: component}).read(t.Context(), router, time.Time{}, false, func(line AccessLine) error {
			got = append(got, line.RequestID)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("component %q:\n%s", component, diff)
		}
	}
}

func TestFollowingTellsEveryRequestOnce(t *testing.T) {
	router := edge(t, []AccessLine{request(1, "a"), request(2, "b")}, request(3, "c"))
	r := reader(LogOptions{})
	for range 2 {
		if err := r.read(t.Context(), router, time.Time{}, false, func(AccessLine) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	enough := fmt.Errorf("enough")
	err := r.read(t.Context(), router, time.Time{}, true, func(line AccessLine) error {
		if line.RequestID != "c" {
			t.Errorf("got %s again", line.RequestID)
		}
		return enough
	})
	if err != enough { //nolint:errorlint // the very value that was returned
		t.Errorf("got %v", err)
	}
}

func TestARouterThatRefusesIsAnError(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	err := reader(LogOptions{}).read(t.Context(), strings.TrimPrefix(server.URL, "http://"), time.Time{}, false, nil)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}

func TestRoutersAreFoundByThePortForTheAccessLog(t *testing.T) {
	one := func(address string, serving bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Serving: &serving}}
	}
	got := addresses([]discoveryv1.EndpointSlice{{
		Ports: []discoveryv1.EndpointPort{
			{Name: new("metrics"), Port: new(int32(9090))}, {Name: new("access"), Port: new(int32(9091))},
		},
		Endpoints: []discoveryv1.Endpoint{one("10.0.0.1", true), one("10.0.0.2", false), one("fd00::1", true)},
	}})
	if diff := cmp.Diff([]string{"10.0.0.1:9091", "[fd00::1]:9091"}, got); diff != "" {
		t.Error(diff)
	}
}
