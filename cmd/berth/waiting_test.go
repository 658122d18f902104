package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func TestOnlyWhatMayPassIsWaitedFor(t *testing.T) {
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"no answer":           {&apiclient.UnreachableError{Err: io.EOF}, true},
		"an early end":        {apiclient.ErrStreamEnded, true},
		"a bad gateway":       {&apiclient.Problem{Status: http.StatusBadGateway}, true},
		"an absent part":      {&apiclient.Problem{Status: http.StatusServiceUnavailable}, true},
		"a slow part":         {&apiclient.Problem{Status: http.StatusGatewayTimeout}, true},
		"a fault":             {&apiclient.Problem{Status: http.StatusInternalServerError}, false},
		"nothing there":       {&apiclient.Problem{Status: http.StatusNotFound}, false},
		"a certificate":       {&apiclient.UnreachableError{Err: untrusted}, false},
		"Ctrl-C":              {context.Canceled, false},
		"a wrapped early end": {fmt.Errorf("watching: %w", apiclient.ErrStreamEnded), true},
	} {
		if got := transient(test.err); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestPatienceEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no pauses
	var p patience
	for range reconnects {
		if !p.bears(ctx, apiclient.ErrStreamEnded) {
			t.Fatalf("it ended after %d failures", p.broken)
		}
	}
	if p.bears(ctx, apiclient.ErrStreamEnded) {
		t.Error("it does not end")
	}
	if p.bears(ctx, nil); p.broken != 0 {
		t.Error("a success does not end a row of failures")
	}
}

// A portal that restarts once, just after each change.
func TestWaitingCommandsOutliveARestart(t *testing.T) {
	var away atomic.Int32
	portal := newFakePortal()
	portal.mu.Lock()
	portal.deploy("shop", &v1alpha1.AppTemplate{Components: []v1alpha1.Component{{Name: "web", Image: "web:1"}}})
	portal.mu.Unlock()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			away.Store(1)
		case away.Add(-1) < 0:
		case strings.HasSuffix(r.URL.Path, "/watch"): // the watch that the portal itself loses
			fmt.Fprintf(w, "data: %s\n\n", mustJSON(apiclient.ReleaseEvent{Done: true, Error: &apiclient.Problem{Status: 503, Detail: "away"}}))
			return
		default:
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		portal.ServeHTTP(w, r)
	}))
	defer server.Close()
	t.Setenv("BERTH_CONFIG", filepath.Join(t.TempDir(), "config.json"))
	if _, err := (userConfigFile{URL: server.URL, Token: "good", Tenant: "acme"}).save(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"tenants:create globex", "tenants:delete globex --confirm globex", "ps:restart -a shop", "apps:delete shop --confirm shop",
	} {
		t.Run(line, func(t *testing.T) {
			var out bytes.Buffer
			if code := run(t.Context(), strings.Fields(line), strings.NewReader(""), &out, &out); code != 0 {
				t.Errorf("ended with %d:\n%s", code, out.String())
			}
			if away.Load() >= 0 && !strings.HasPrefix(line, "apps") {
				t.Error("the portal was not away")
			}
		})
	}
}

func TestLinesArePrintedOnceHoweverOftenTheConnectionBreaks(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	line := func(process string, second int) apiclient.LogLine {
		return apiclient.LogLine{Process: process, Time: start.Add(time.Duration(second) * time.Second)}
	}
	for name, test := range map[string]struct{ before, after, want []apiclient.LogLine }{
		"nothing before: only what is newer than the start": {nil, []apiclient.LogLine{line("a", -9), line("a", 1)}, []apiclient.LogLine{line("a", 1)}},
		"the same process goes on": {
			[]apiclient.LogLine{line("a", 1), line("a", 2)},
			[]apiclient.LogLine{line("a", 1), line("a", 2), line("a", 3)},
			[]apiclient.LogLine{line("a", 1), line("a", 2), line("a", 3)},
		},
		"the history of a process not seen before stays out": {
			[]apiclient.LogLine{line("a", 2)},
			[]apiclient.LogLine{line("b", -9), line("b", 1), line("b", 3), line("b", 4)},
			[]apiclient.LogLine{line("a", 2), line("b", 3), line("b", 4)},
		},
		"two processes that write in turns": {
			[]apiclient.LogLine{line("a", 1), line("b", 2)},
			[]apiclient.LogLine{line("b", 5), line("a", 4)},
			[]apiclient.LogLine{line("a", 1), line("b", 2), line("b", 5), line("a", 4)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []apiclient.LogLine
			tail := &logTail{start: start, last: map[string]time.Time{}, print: func(l apiclient.LogLine) error { got = append(got, l); return nil }}
			for _, l := range test.before {
				_ = tail.each(l)
			}
			tail.resume()
			tail.patience.broken = reconnects
			for _, l := range test.after {
				_ = tail.each(l)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
			if tail.patience.broken != 0 {
				t.Error("a line does not renew the patience")
			}
		})
	}
}

func TestATokenGoesToItsOwnAddressOnly(t *testing.T) {
	login := userConfigFile{URL: "https://api.example.com", Token: "kept", CAFile: "kept.crt", Tenant: "acme"}
	for name, test := range map[string]struct {
		env  map[string]string
		want userConfigFile
	}{
		"no environment":     {nil, login},
		"the same address":   {map[string]string{"BERTH_URL": login.URL + "/"}, login},
		"another address":    {map[string]string{"BERTH_URL": "https://other.example.com"}, userConfigFile{URL: "https://other.example.com"}},
		"another with token": {map[string]string{"BERTH_URL": "https://o.example.com", "BERTH_TOKEN": "t", "BERTH_TENANT": "x"}, userConfigFile{URL: "https://o.example.com", Token: "t", Tenant: "x"}},
		"a token alone":      {map[string]string{"BERTH_TOKEN": "t"}, userConfigFile{URL: login.URL, Token: "t", CAFile: "kept.crt", Tenant: "acme"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("BERTH_CONFIG", filepath.Join(t.TempDir(), "config.json"))
			for _, key := range []string{"BERTH_URL", "BERTH_TOKEN", "BERTH_CA_FILE", "BERTH_TENANT"} {
				t.Setenv(key, test.env[key])
			}
			if _, err := login.save(); err != nil {
				t.Fatal(err)
			}
			got, err := loginInUse()
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("the login in use (-want +got):\n%s%v", diff, err)
			}
		})
	}
}

func TestTheFixOfNoAnswerFitsTheAddress(t *testing.T) {
	refused := errors.New("connection refused")
	for want, err := range map[string]*apiclient.UnreachableError{
		"berth status":      {URL: "https://api.berth.localhost:8443", Err: refused},
		"Check the address": {URL: "https://api.example.com", Err: refused},
		"--ca-file":         {URL: "https://api.berth.localhost:8443", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
		"Use the name":      {URL: "https://api.example.com", Err: &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}}}},
	} {
		problem, _ := (&cli{}).problemOf(err)
		if !strings.Contains(problem.Fix, want) || want != "berth status" && strings.Contains(problem.Fix, "berth status") {
			t.Errorf("%v: %q, want %q", err.URL, problem.Fix, want)
		}
	}
}

func TestAnAppWhoseFirstReleaseFailedIsNotDeploying(t *testing.T) {
	app := apiclient.App{Latest: 1, Template: &v1alpha1.AppTemplate{}}
	condition := func(reason string) []apiclient.Condition {
		return []apiclient.Condition{{Type: v1alpha1.ConditionReady, Status: "False", Reason: reason}}
	}
	for reason, want := range map[string]string{
		v1alpha1.ReasonProgressing: "deploying v1", v1alpha1.ReasonProcessExits: "failed", v1alpha1.ReasonTimedOut: "failed",
	} {
		app.Conditions = condition(reason)
		if got := appState(&app); got != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
	}
}
