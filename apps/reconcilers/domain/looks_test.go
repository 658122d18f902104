package domain_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/proof/prooftest"
	"github.com/berth-dev/berth/apps/reconcilers/domain"
	"github.com/berth-dev/berth/internal/kubetest"
)

// silence is hosts that take connections and do not answer until they may.
type silence struct {
	mu            sync.Mutex
	now, most     int
	enough, speak chan struct{}
	want          int
}

func (s *silence) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.now++
	if s.most = max(s.most, s.now); s.most == s.want {
		close(s.enough)
		s.want = -1
	}
	s.mu.Unlock()
	select {
	case <-s.speak:
	case <-r.Context().Done():
	}
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	http.NotFound(w, r)
}

func TestATenantsSilentHostsDoNotHoldUpAnothers(t *testing.T) {
	const hosts, share = 40, 8
	env := kubetest.Start(t)
	kube, err := client.NewWithWatch(env.Config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	internet := prooftest.Start(t)
	p := &platform{t: t, kube: kube}
	r := domain.New(domain.Options{Client: kube, Reader: kube, Proof: internet.Looker(), Clock: clock.RealClock{}, Domain: "berth.localhost"})
	look := func(d *v1alpha1.Domain) ctrl.Result {
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(d)})
		if err != nil {
			t.Errorf("%s: %v", d.Spec.Host, err)
		}
		return result
	}
	silent := &silence{want: share, enough: make(chan struct{}), speak: make(chan struct{})}
	var looking, waiting sync.WaitGroup
	var crowd []*v1alpha1.Domain
	for i := range hosts {
		d := p.redirect("crowd", fmt.Sprintf("h%d.crowd-example.com", i))
		internet.Answer(d.Spec.Host, silent.ServeHTTP)
		crowd = append(crowd, d)
	}
	waiting.Add(hosts - share)
	for _, d := range crowd {
		looking.Go(func() {
			if result := look(d); result.RequeueAfter.Seconds() == 5 {
				waiting.Done()
			}
		})
	}
	<-silent.enough
	waiting.Wait() // the others gave their workers back

	other := p.redirect("patient", "www.patient-example.com")
	other.Status.Token = "known-before"
	if err := kube.Status().Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	internet.Text(apps.ProofRecord(other.Spec.Host), apps.ProofText(other.Status.Token))
	look(other)
	p.until(other, "owned", owned(metav1.ConditionTrue, v1alpha1.ReasonSucceeded))

	close(silent.speak)
	looking.Wait()
	if silent.most != share {
		t.Errorf("%d looks of one tenant at once, want %d", silent.most, share)
	}
	for _, d := range crowd {
		look(d)
		p.until(d, "looked at", owned(metav1.ConditionFalse, v1alpha1.ReasonNotProven))
	}
}
