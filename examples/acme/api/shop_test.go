package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type shelf struct {
	goods []item
	err   error
	never bool // the database has not answered yet
}

func (s shelf) reached() bool { return !s.never }

func (s shelf) items(context.Context) ([]item, error) { return s.goods, s.err }

func TestShop(t *testing.T) {
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2.5"]}]}}`))
	}))
	defer prometheus.Close()
	fine := func() *shop {
		return &shop{version: "2", healthy: true, store: shelf{goods: goods}, metricsURL: prometheus.URL, client: prometheus.Client()}
	}
	for name, test := range map[string]struct {
		path, holds string
		status      int
		change      func(*shop)
	}{
		"goods are listed":                             {"/api/items", "Rocket skates", 200, nil},
		"goods carry the version that listed them":     {"/api/items", `"version":"2"`, 200, nil},
		"without the database goods are a 503":         {"/api/items", "cannot be read", 503, func(s *shop) { s.store = shelf{err: errNotReady} }},
		"a failing database tells nobody its insides":  {"/api/items", `{"error":"the goods cannot be read now"}`, 503, func(s *shop) { s.store = shelf{err: errors.New("dial 10.0.0.1")} }},
		"a database that fails makes nobody unhealthy": {"/healthz", "ok", 200, func(s *shop) { s.store = shelf{err: errors.New("dial 10.0.0.1")} }},
		"before the database answered nobody is ready": {"/healthz", "not ready", 503, func(s *shop) { s.store = shelf{never: true} }},
		"an unhealthy version never says it is fine":   {"/healthz", "never healthy", 503, func(s *shop) { s.healthy = false }},
		"the version is told":                          {"/version", `"version":"2"`, 200, nil},
		"Prometheus is asked for the rate":             {"/api/metrics", `"requestsPerSecond":"2.5"`, 200, nil},
		"without Prometheus metrics are a 503":         {"/api/metrics", "cannot be read", 503, func(s *shop) { s.metricsURL = "" }},
		"its own metrics are there for Prometheus":     {"/metrics", "shop_requests_total 1\n", 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := fine()
			if test.change != nil {
				test.change(s)
			}
			answer := httptest.NewRecorder()
			s.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, test.path, nil))
			if answer.Code != test.status || !strings.Contains(answer.Body.String(), test.holds) {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
}

func TestNewStore(t *testing.T) {
	for name, test := range map[string]struct {
		url  string
		fine bool
	}{
		"an address without a password takes the other one": {"postgres://shop@db:5432/shop", true},
		"no address is refused":                             {"", false},
		"an address that cannot be read is refused":         {"postgres://shop@db:port/shop", false},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := newStore(test.url, "secret")
			if (err == nil) != test.fine {
				t.Fatal(err)
			}
			if err != nil {
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the password stands in %v", err)
				}
				return
			}
			defer store.pool.Close()
			if store.pool.Config().ConnConfig.Password != "secret" {
				t.Error("the password was lost")
			}
		})
	}
}
