package api_test

import (
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/internal/apiclient"
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
