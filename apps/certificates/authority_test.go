package certificates_test

import (
	"context"
	"crypto"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/certificates"
	"github.com/berth-dev/berth/internal/kubetest"
)

// edge answers one challenge at a time.
type edge struct {
	mu                      sync.Mutex
	token, keyAuthorization string
	cleaned                 int
}

func (e *edge) Present(_ context.Context, token, keyAuthorization string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.token, e.keyAuthorization = token, keyAuthorization
	return nil
}

func (e *edge) CleanUp(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.token = ""
	e.cleaned++
	return nil
}

// state tells whether something is presented, and how often it was taken away.
func (e *edge) state() (presented bool, cleaned int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.token != "", e.cleaned
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.token == "" || r.URL.Path != "/.well-known/acme-challenge/"+e.token {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write([]byte(e.keyAuthorization))
}

func TestIssue(t *testing.T) {
	env, answers := kubetest.Start(t), &edge{}
	server := httptest.NewServer(answers)
	t.Cleanup(server.Close)
	address, ok := server.Listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(server.Listener.Addr())
	}
	ca := kubetest.StartAuthority(t, address.Port)
	accounts := &certificates.Accounts{Client: env.Client, Namespace: env.Namespace(t)}
	config := certificates.Config{Directory: ca.Directory, Roots: ca.Roots, Accounts: accounts}
	authority, err := certificates.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if authority.Wildcards() {
		t.Error("wildcards are promised without DNS")
	}
	pair, err := authority.Issue(t.Context(), "shop.example", answers)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apps.CheckPair(pair.Certificate, pair.Key, "shop.example", time.Now().Add(time.Second)); err != nil {
		t.Error(err)
	}
	if presented, cleaned := answers.state(); presented || cleaned == 0 {
		t.Error("the answer was left over")
	}

	t.Run("an authority whose own certificate is not trusted is not spoken to", func(t *testing.T) {
		config := config
		config.Roots = nil
		stranger, err := certificates.New(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stranger.Issue(t.Context(), "other.example", answers)
		if _, refused := apps.AsRefused(err); err == nil || refused {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a broken order is refused and cleaned up after", func(t *testing.T) {
		_, before := answers.state()
		_, err := authority.Issue(t.Context(), "mute.example", mute{answers})
		_, after := answers.state()
		if refused, is := apps.AsRefused(err); !is || refused.Detail == "" || after != before+1 {
			t.Errorf("got %v, cleaned up %d times", err, after-before)
		}
	})
	t.Run("roots that are none are refused", func(t *testing.T) {
		config := config
		config.Roots = []byte("none")
		if _, err := certificates.New(config); err == nil || !strings.Contains(err.Error(), "acme-roots") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnAuthorityThatAsksForTimeIsHeard(t *testing.T) {
	env := kubetest.Start(t)
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/dir", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"newNonce":"%[1]s/nonce","newAccount":"%[1]s/account","newOrder":"%[1]s/order"}`, server.URL)
	})
	mux.HandleFunc("/nonce", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Replay-Nonce", "n") })
	mux.HandleFunc("/account", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many accounts"}`))
	})
	authority, err := certificates.New(certificates.Config{
		Directory: server.URL + "/dir",
		Roots:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		Accounts:  &certificates.Accounts{Client: env.Client, Namespace: env.Namespace(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = authority.Issue(t.Context(), "shop.example", &edge{})
	refused, is := apps.AsRefused(err)
	if !is || refused.Detail != "too many accounts" || refused.RetryAfter != 2*time.Hour {
		t.Errorf("got %#v", err)
	}
}

// mute presents nothing.
type mute struct{ apps.Answers }

func (mute) Present(context.Context, string, string) error { return nil }

func TestManyWhoAskAtOnceGetOneAccountKey(t *testing.T) {
	env := kubetest.Start(t)
	namespace := env.Namespace(t)
	keys := make([]crypto.Signer, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			accounts := &certificates.Accounts{Client: env.Client, Namespace: namespace}
			key, err := accounts.Key(t.Context(), "https://one.example/dir")
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, key := range keys {
		if !same(key, keys[0]) {
			t.Error("two keys were given out")
		}
	}
	accounts := &certificates.Accounts{Client: env.Client, Namespace: namespace}
	other, err := accounts.Key(t.Context(), "https://two.example/dir")
	if err != nil || same(other, keys[0]) {
		t.Errorf("another authority gets the same key, or %v", err)
	}
	if again, err := accounts.Key(t.Context(), "https://one.example/dir"); err != nil || !same(again, keys[0]) {
		t.Errorf("the first authority's key was lost: %v", err)
	}
	secret := &corev1.Secret{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "acme-account"}, secret); err != nil || len(secret.Data) != 2 {
		t.Errorf("the Secret holds %d keys, %v", len(secret.Data), err)
	}
}

func same(a, b crypto.Signer) bool {
	public, ok := a.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.Public())
}
