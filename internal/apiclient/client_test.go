package apiclient

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func newClient(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := New(Options{URL: server.URL, Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestANameNeverLeadsToAnotherAddress(t *testing.T) {
	c := newClient(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the server was asked: %s %s", r.Method, r.URL) })
	ctx := t.Context()
	for _, name := range []string{"", ".", "..", "../..", "a/b", "%2e%2e", "a?b", "a b", "Shop", "-a", "a-", "shöp", "a\n"} {
		for what, test := range map[string]struct {
			field string
			err   error
		}{
			"deleting an app":    {"app", c.DeleteApp(ctx, "acme", name)},
			"deleting a tenant":  {"tenant", c.DeleteTenant(ctx, name)},
			"an app of a tenant": {"tenant", c.DeleteApp(ctx, name, "shop")},
			"a watch":            {"app", c.WatchRelease(ctx, "acme", name, 0, 0, nil)},
			"a shell":            {"app", func() error { _, err := c.Shell(ctx, "acme", name, Run{}, 80, 24); return err }()},
		} {
			var problem *Problem
			if !errors.As(test.err, &problem) || problem.Field != test.field || problem.Fix == "" {
				t.Errorf("%s named %q gave %#v, want a problem with %s and its fix", what, name, test.err, test.field)
			}
		}
	}
}

func TestANameIsAskedForAsItIs(t *testing.T) {
	asked := ""
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.Path
		_, _ = io.WriteString(w, "{}")
	})
	if err := c.DeleteApp(t.Context(), "acme", "shop-2"); err != nil || asked != "DELETE /v1/tenants/acme/apps/shop-2" {
		t.Errorf("asked %q, %v", asked, err)
	}
}

func TestATokenIsSentOpenlyOnThisMachineOnly(t *testing.T) {
	for address, want := range map[string]bool{
		"https://api.example.com": true, "http://api.example.com": false, "http://10.0.0.1:8080": false,
		"http://localhost:8080": true, "http://api.berth.localhost": true, "http://127.0.0.1:1": true, "http://[::1]:1": true,
		"http://localhost.example.com": false, "http://127.0.0.1.example.com": false,
		"ftp://localhost": false, "api.example.com": false, "": false,
	} {
		_, err := New(Options{URL: address})
		var problem *Problem
		if (err == nil) != want || err != nil && (!errors.As(err, &problem) || problem.Field != "url" || problem.Fix == "") {
			t.Errorf("%q gave %v", address, err)
		}
	}
}

func TestAMessageThatIsCutEndsItsStream(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want int
	}{
		"an event":   {"event: release\ndata: {\"app\":{}}\n\nevent: release\ndata: {\"ap", 1},
		"no event":   {"", 0},
		"no end yet": {"data: {\"app\":{}}\n\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, test.body) })
			got := 0
			err := c.WatchRelease(t.Context(), "acme", "shop", 0, 0, func(ReleaseEvent) error { got++; return nil })
			if !errors.Is(err, ErrStreamEnded) || got != test.want {
				t.Errorf("%d events and %v, want %d and an early end", got, err, test.want)
			}
		})
	}
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\n{\"line\":\"a\"}\n{\"li") })
	got := 0
	err := c.Logs(t.Context(), "acme", "shop", LogOptions{}, func(LogLine) error { got++; return nil })
	if !errors.Is(err, ErrStreamEnded) || got != 1 {
		t.Errorf("%d lines and %v, want 1 and an early end", got, err)
	}
}
