package api_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/portal/api"
	"github.com/berth-dev/berth/tenancy"
)

func TestOnlyTheTokenLetsIn(t *testing.T) {
	w := newWorld(t)
	for name, authorization := range map[string]string{
		"nothing": "", "another token": "Bearer nonsense", "the hash itself": "Bearer " + api.HashToken(testToken),
		"another scheme": "Basic " + testToken, "an empty token": "Bearer ",
	} {
		t.Run(name, func(t *testing.T) {
			if status, _ := w.request(http.MethodGet, "/me", authorization, nil); status != http.StatusUnauthorized {
				t.Errorf("got %d, want 401", status)
			}
		})
	}
	if me := must[apiclient.Principal](w, http.MethodGet, "/me", nil); me.Name != "olga" || !me.Operator {
		t.Errorf("got %+v, want the operator olga", me)
	}
}

func TestARemovedTokenIsRefusedWithinAMinute(t *testing.T) {
	w := newWorld(t)
	must[apiclient.Principal](w, http.MethodGet, "/me", nil)
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: tenancy.SystemNamespace, Name: api.OperatorTokenSecret}
	if err := w.kube.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	if err := w.kube.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	if status, _ := w.do(http.MethodGet, "/me", nil); status != http.StatusUnauthorized {
		t.Errorf("got %d after the token was removed, want 401", status)
	}
	w.basics() // for the tests that follow on the same server
}

// silent is an API server that never answers.
type silent struct{ client.Reader }

func (silent) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	<-ctx.Done()
	return ctx.Err()
}

// Nobody waits longer than one look takes, and who gives up earlier is let go.
func TestALookAtTheTokenThatHangsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		auth := api.NewOperatorToken(silent{}, clocktesting.NewFakePassiveClock(time.Now()))
		begin := time.Now()
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				if _, err := auth.Authenticate(t.Context(), testToken); errs.CodeOf(err) != errs.Unavailable {
					t.Errorf("got %v, want unavailable", err)
				}
				if waited := time.Since(begin); waited > 5*time.Second {
					t.Errorf("waited %s", waited)
				}
			})
		}
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _ = auth.Authenticate(ctx, testToken)
			if waited := time.Since(begin); waited > time.Second {
				t.Errorf("the hasty one waited %s", waited)
			}
		})
		callers.Wait()
	})
}
