package domain

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func TestOnlyHostsThatChangedHandsAreTold(t *testing.T) {
	held := func(host string, by types.UID) v1alpha1.DomainHolder {
		return v1alpha1.DomainHolder{Host: host, Tenant: "acme", DomainUID: by}
	}
	before := []v1alpha1.DomainHolder{held("a.example.com", "1"), held("b.example.com", "2"), held("c.example.com", "3")}
	after := []v1alpha1.DomainHolder{held("a.example.com", "1"), held("b.example.com", "9"), held("d.example.com", "4")}
	got := movedHosts(before, after)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"b.example.com", "c.example.com", "d.example.com"}, slices.Compact(got)); diff != "" {
		t.Error(diff)
	}
}
