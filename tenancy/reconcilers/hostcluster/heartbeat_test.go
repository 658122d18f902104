package hostcluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func TestThePulseOfAHostIsNotThatOfAnEarlierOneOfItsName(t *testing.T) {
	first := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: "1"}}
	second := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: "2"}}
	var p pulses
	known := p.get(first)
	known.answered = now
	p.set(first, known)
	if !p.get(first).reachable(now) || p.get(second).reachable(now) {
		t.Errorf("known are %+v", p.hosts)
	}
}

func TestAHostThatIsGoneIsForgottenWhoseverItWas(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	r := New(Options{Client: fake.NewClientBuilder().WithScheme(scheme).Build()})
	gone := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: "1"}}
	r.pulses.set(gone, r.pulses.get(gone))
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(gone)}); err != nil {
		t.Fatal(err)
	}
	if len(r.pulses.hosts) > 0 {
		t.Errorf("it remembers %+v", r.pulses.hosts)
	}
}
