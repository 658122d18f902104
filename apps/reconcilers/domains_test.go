package reconcilers_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/proof"
	"github.com/berth-dev/berth/apps/reconcilers/domain"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
)

func TestADomainIsServedOnceItsRecordIsSet(t *testing.T) {
	h := newHosts(t)
	d := h.add(h.Namespace, "www."+h.base)
	for _, condition := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionOwned} {
		h.want(d, condition, metav1.ConditionFalse, v1alpha1.ReasonNotProven)
	}
	h.want(d, v1alpha1.ConditionCertified, metav1.ConditionFalse, v1alpha1.ReasonWaiting)
	h.want(d, v1alpha1.ConditionServed, metav1.ConditionFalse, v1alpha1.ReasonWaiting)
	if want := "_berth.www." + h.base + " has no TXT record"; !strings.Contains(message(d, v1alpha1.ConditionOwned), want) {
		t.Errorf("owned: %s", message(d, v1alpha1.ConditionOwned))
	}
	if len(d.Status.Token) < 20 || d.Status.CheckedAt == nil || d.Status.ProvenAt != nil {
		t.Errorf("status: %+v", d.Status)
	}

	h.prove(d)
	if d = h.settle(d); d.Status.ProvenAt != nil {
		t.Error("it was looked at before its time")
	}
	h.later(10 * time.Minute)
	d = h.settle(d)
	h.want(d, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if d.Status.Route != h.App+"-ui-http" {
		t.Errorf("route %q", d.Status.Route)
	}
	result, err := h.reconcile(d)
	if err != nil || result.RequeueAfter != 24*time.Hour {
		t.Errorf("it is looked at again after %s (%v)", result.RequeueAfter, err)
	}
	// A host of the name above, and a second of the tenant, are held beside it.
	h.owned(h.Namespace, h.base)
	h.owned(h.Namespace, "*."+h.base)
	if held := h.claim().Spec.Holders; len(held) != 3 {
		t.Errorf("held: %+v", held)
	}
}

func TestADomainIsProvenWhereItLeads(t *testing.T) {
	h := newHosts(t)
	host := "www." + h.base
	d := h.add(h.Namespace, host)
	h.internet.Answer(host, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != apps.ProofPath(d.Status.Token) {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, apps.ProofText(d.Status.Token))
	})
	h.want(h.look(d), v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestADomainIsNotProvenByARedirectOrAPrivateAddress(t *testing.T) {
	h := newHosts(t)
	host := "www." + h.base
	d := h.add(h.Namespace, host)
	h.internet.Answer("other."+h.base, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, apps.ProofText(d.Status.Token)) })
	h.internet.Answer(host, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://other."+h.base, http.StatusMovedPermanently)
	})
	d = h.look(d)
	h.want(d, v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonNotProven)
	if !strings.Contains(message(d, v1alpha1.ConditionOwned), "redirects") {
		t.Errorf("owned: %s", message(d, v1alpha1.ConditionOwned))
	}

	h.internet.Answer(host, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, apps.ProofText(d.Status.Token)) })
	h.start(h.Client, proof.New(proof.Options{Resolver: h.internet.Resolver, Port: h.internet.Port}))
	d = h.look(d)
	h.want(d, v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonNotProven)
	if !strings.Contains(message(d, v1alpha1.ConditionOwned), "leads to no public address") {
		t.Errorf("owned: %s", message(d, v1alpha1.ConditionOwned))
	}
}

func TestATokenProvesNothingForAnother(t *testing.T) {
	h := newHosts(t)
	host := "www." + h.base
	first := h.add(h.Namespace, host)
	h.prove(first)
	// The record is there, seen by everybody, before its owner's domain is looked at.
	thief := h.look(h.add(h.rival(), host))
	h.want(thief, v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonNotProven)
	if thief.Status.Token == first.Status.Token {
		t.Error("two domains have one token")
	}
	// And one left over from an earlier domain of the same host.
	h.delete(first)
	h.settle(first)
	again := h.look(h.add(h.Namespace, host))
	h.want(again, v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonNotProven)
}

func TestAHostThatAnotherTenantHoldsIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ held, wanted string }{
		"the same host":               {"www.", "www."},
		"a wildcard over it":          {"www.", "*."},
		"a host under its wildcard":   {"*.", "www."},
		"the same wildcard":           {"*.", "*."},
		"a wildcard one level deeper": {"*.eu.", "shop.eu."},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHosts(t)
			holder := h.owned(h.Namespace, test.held+h.base)
			rival := h.add(h.rival(), test.wanted+h.base)
			if apps.ProofRecord(holder.Spec.Host) == apps.ProofRecord(rival.Spec.Host) {
				h.prove(holder, rival)
			} else {
				h.prove(rival)
			}
			rival = h.look(rival)
			h.want(rival, v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonHostHeld)
			h.want(rival, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonHostHeld)
			h.want(h.look(holder), v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			if text := message(rival, v1alpha1.ConditionOwned); strings.Contains(text, h.Tenant+" ") {
				t.Errorf("the refusal names the tenant: %s", text)
			}

			// When it is given back, whoever still proves it has it at once.
			h.delete(holder)
			h.settle(holder)
			h.want(h.settle(rival), v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		})
	}
}

func TestOfTwoTenantsThatProveAHostOneHasIt(t *testing.T) {
	for name, others := range map[string]int{"the first under its name": 0, "one more under its name": 1} {
		t.Run(name, func(t *testing.T) {
			h := newHosts(t)
			host, rivals := "www."+h.base, h.rival()
			if others > 0 {
				h.owned(h.Namespace, "shop."+h.base)
			}
			mine, theirs := h.add(h.Namespace, host), h.add(rivals, host)
			h.prove(mine, theirs)
			// Between our reading of the claim and our writing, the other one claims.
			raced := false
			race := func(ctx context.Context, object client.Object) {
				if _, claims := object.(*v1alpha1.DomainClaim); raced || !claims {
					return
				}
				raced = true
				other := domain.New(domain.Options{Client: h.Client, Reader: h.Client, Proof: h.internet.Looker(), Clock: h.Clock, Domain: stage.Domain})
				if _, err := other.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(theirs)}); err != nil {
					t.Error(err)
				}
			}
			h.later(time.Hour)
			h.start(interceptor.NewClient(h.Client, interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
					race(ctx, object)
					return c.Create(ctx, object, options...)
				},
				Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
					race(ctx, object)
					return c.Update(ctx, object, options...)
				},
			}), h.internet.Looker())
			h.want(h.settle(mine), v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonHostHeld)
			h.want(h.settle(theirs), v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			if held := h.claim().Spec.Holders; !raced || len(held) != others+1 {
				t.Errorf("raced %t, held: %+v", raced, held)
			}
		})
	}
}

func TestAProofThatIsLostEndsTheServiceAfterAWeek(t *testing.T) {
	h := newHosts(t)
	d := h.owned(h.Namespace, "www."+h.base)
	h.internet.Text(apps.ProofRecord(d.Spec.Host))
	for range 7 {
		h.later(24 * time.Hour)
		d = h.settle(d)
		h.want(d, v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonProofLost)
		h.want(d, v1alpha1.ConditionServed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	}
	if want := "without it the host is served until 2030-01-09"; !strings.Contains(message(d, v1alpha1.ConditionOwned), want) {
		t.Errorf("owned: %s", message(d, v1alpha1.ConditionOwned))
	}
	h.later(24 * time.Hour)
	d = h.settle(d)
	h.want(d, v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonProofLost)
	h.want(d, v1alpha1.ConditionServed, metav1.ConditionFalse, v1alpha1.ReasonWaiting)
	if claim := h.claim(); claim != nil {
		t.Errorf("it still holds the host: %+v", claim.Spec)
	}
	h.prove(d)
	h.later(10 * time.Minute)
	h.want(h.settle(d), v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestAControllerThatWasAwayForAMonthEndsNoServiceAtItsFirstLook(t *testing.T) {
	h := newHosts(t)
	d := h.owned(h.Namespace, "www."+h.base)
	h.internet.Text(apps.ProofRecord(d.Spec.Host))
	h.later(30 * 24 * time.Hour)
	h.want(h.settle(d), v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonProofLost)
	h.later(6 * 24 * time.Hour)
	h.want(h.settle(d), v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonProofLost)
	h.later(24 * time.Hour)
	h.want(h.settle(d), v1alpha1.ConditionOwned, metav1.ConditionFalse, v1alpha1.ReasonProofLost)
}

func TestAProofIsLookedForAfterTheClockWasSetBack(t *testing.T) {
	h := newHosts(t)
	d := h.add(h.Namespace, "www."+h.base)
	h.prove(d)
	h.later(-time.Hour)
	h.want(h.settle(d), v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestALookThatFailsOnceIsForgotten(t *testing.T) {
	h := newHosts(t)
	d := h.owned(h.Namespace, "www."+h.base)
	h.internet.Text(apps.ProofRecord(d.Spec.Host))
	h.later(time.Minute)
	d = h.look(d)
	h.want(d, v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonProofLost)
	h.prove(d)
	h.later(10 * time.Minute)
	h.want(h.settle(d), v1alpha1.ConditionOwned, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}
