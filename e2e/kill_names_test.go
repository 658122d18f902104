package e2e

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// reservations are all names of tenants that are reserved, each with the UID of the tenant
// that it is reserved for.
func reservations(t *testing.T) map[string]types.UID {
	t.Helper()
	var all corev1.ConfigMapList
	if err := berth.host.List(t.Context(), &all, client.InNamespace(systemNamespace), client.HasLabels{berthv1.LabelTenant}); err != nil {
		t.Fatal(err)
	}
	held := map[string]types.UID{}
	for _, reservation := range all.Items {
		held[reservation.Labels[berthv1.LabelTenant]] = types.UID(reservation.Data["tenantUID"])
	}
	return held
}

// noteTenant keeps the UID of a tenant, unless it is gone. A name has one tenant, ever.
func noteTenant(t *testing.T, name string, made map[string]types.UID) {
	t.Helper()
	tenant := &berthv1.Tenant{}
	err := berth.host.Get(t.Context(), client.ObjectKey{Name: name}, tenant)
	switch earlier, known := made[name]; {
	case client.IgnoreNotFound(err) != nil:
		t.Fatal(err)
	case err != nil:
	case known && earlier != tenant.UID:
		t.Errorf("tenant %s was %s and is %s: it was made twice", name, earlier, tenant.UID)
	default:
		made[name] = tenant.UID
	}
}

// reservedFor wants the reserved names to be those that were so before and those of the
// tenants made since, each for its own tenant, and no others.
func reservedFor(t *testing.T, before, made map[string]types.UID) {
	t.Helper()
	want := maps.Clone(before)
	maps.Copy(want, made)
	if diff := cmp.Diff(want, reservations(t)); diff != "" {
		t.Errorf("the reserved names and the tenants they are for (-want +got):\n%s", diff)
	}
}

// reservedOnly wants no other names that begin alike to be reserved than these, and one that
// is to be refused: one of a tenant that was deleted before the controller saw it may be free.
func reservedOnly(t *testing.T, prefix string, made []string) {
	t.Helper()
	kept := slices.DeleteFunc(slices.Sorted(maps.Keys(reservations(t))), func(name string) bool { return !strings.HasPrefix(name, prefix) })
	for _, name := range kept {
		if !slices.Contains(made, name) {
			t.Errorf("%s is reserved and was never made", name)
		}
	}
	if len(kept) == 0 {
		t.Fatalf("of the tenants %v no name is reserved", made)
	}
	refusedAgain(t, kept[0])
}

// refusedAgain wants the name of a tenant that is gone to be refused to another one.
func refusedAgain(t *testing.T, name string) {
	t.Helper()
	out, errOut, code := berth.try(t, "tenants:create", name, "--plan", "small")
	if code == 0 || !strings.Contains(out+errOut, "never used again") {
		t.Errorf("the name %s of a tenant that is gone is not refused to another: exit code %d\n%s%s", name, code, out, errOut)
	}
	berth.berth(t, "tenants:delete", name, "--confirm", name)
}
