package apps

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func holder(tenant, host, domain string) v1alpha1.DomainHolder {
	return v1alpha1.DomainHolder{Host: host, Tenant: tenant, TenantUID: types.UID(tenant + "-uid"), DomainUID: types.UID(domain)}
}

func TestAHostHasOneTenant(t *testing.T) {
	acme := holder("acme", "a.example.com", "d1")
	for name, test := range map[string]struct {
		held    []v1alpha1.DomainHolder
		wants   v1alpha1.DomainHolder
		changed bool
		refusal string
	}{
		"nobody holds anything":           {nil, acme, true, ""},
		"it holds it already":             {[]v1alpha1.DomainHolder{acme}, acme, false, ""},
		"an earlier Domain of the tenant": {[]v1alpha1.DomainHolder{holder("acme", "a.example.com", "d0")}, acme, true, ""},
		"another tenant holds it":         {[]v1alpha1.DomainHolder{holder("globex", "a.example.com", "d2")}, acme, false, "another tenant holds a.example.com"},
		"another's wildcard covers it":    {[]v1alpha1.DomainHolder{holder("globex", "*.example.com", "d2")}, acme, false, "another tenant holds *.example.com, which overlaps"},
		"its wildcard covers another's": {
			[]v1alpha1.DomainHolder{holder("globex", "b.example.com", "d2")},
			holder("acme", "*.example.com", "d1"), false, "another tenant holds b.example.com, which overlaps",
		},
		"its own wildcard covers it":    {[]v1alpha1.DomainHolder{holder("acme", "*.example.com", "d0")}, acme, true, ""},
		"another host of the same name": {[]v1alpha1.DomainHolder{holder("globex", "example.com", "d2")}, acme, true, ""},
		"a later tenant of that name": {
			[]v1alpha1.DomainHolder{{Host: "a.example.com", Tenant: "acme", TenantUID: "an-earlier-one", DomainUID: "d0"}},
			acme, false, "another tenant holds",
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := v1alpha1.DomainClaimSpec{Holders: test.held}
			before := spec.DeepCopy()
			changed, err := ClaimHost(&spec, test.wants)
			if changed != test.changed {
				t.Errorf("changed: %t", changed)
			}
			if test.refusal == "" && (err != nil || spec.Holders[len(spec.Holders)-1] != test.wants) {
				t.Errorf("it holds nothing (%v): %+v", err, spec.Holders)
			}
			if test.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), test.refusal) || strings.Contains(err.Error(), "globex") {
					t.Errorf("refused with %v", err)
				}
				if diff := cmp.Diff(before, &spec); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestAClaimHasRoomForAsManyAsItsKindSays(t *testing.T) {
	var spec v1alpha1.DomainClaimSpec
	for i := range maxHolders {
		if _, err := ClaimHost(&spec, holder("acme", fmt.Sprintf("h%d.example.com", i), fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ClaimHost(&spec, holder("acme", "more.example.com", "more")); err == nil {
		t.Error("one more was taken")
	}
}

func TestAClaimIsForOneDomainOfOneTenant(t *testing.T) {
	domain := &v1alpha1.Domain{ObjectMeta: metav1.ObjectMeta{UID: "d1"}, Spec: v1alpha1.DomainSpec{Host: "a.example.com"}}
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: "example.com"}}
	if Holds(nil, domain, "acme") || Holds(claim, domain, "acme") {
		t.Error("an empty claim gives it")
	}
	for _, other := range []v1alpha1.DomainHolder{
		holder("acme", "b.example.com", "d1"), holder("globex", "a.example.com", "d1"), holder("acme", "a.example.com", "d2"),
	} {
		claim.Spec.Holders = []v1alpha1.DomainHolder{other}
		if Holds(claim, domain, "acme") {
			t.Errorf("it is given by %+v", other)
		}
	}
	claim.Spec.Holders = []v1alpha1.DomainHolder{holder("acme", "b.example.com", "d2"), holder("acme", "a.example.com", "d1")}
	if !Holds(claim, domain, "acme") {
		t.Error("it is not given to its holder")
	}
	claim.Name = "example.org"
	if Holds(claim, domain, "acme") {
		t.Error("another name's claim gives it")
	}
	if !ReleaseHost(&claim.Spec, domain) || len(claim.Spec.Holders) != 1 || ReleaseHost(&claim.Spec, domain) {
		t.Errorf("after giving back: %+v", claim.Spec.Holders)
	}
}

func TestAProofThatIsGoneEndsAfterAWeek(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *metav1.Time { return new(metav1.NewTime(start.Add(d))) }
	for name, test := range map[string]struct {
		status v1alpha1.DomainStatus
		want   Proof
	}{
		"never looked at":        {v1alpha1.DomainStatus{}, ProofNever},
		"looked at, never there": {v1alpha1.DomainStatus{CheckedAt: at(0)}, ProofNever},
		"there":                  {v1alpha1.DomainStatus{ProvenAt: at(0), CheckedAt: at(0)}, ProofSeen},
		"missed for six days":    {v1alpha1.DomainStatus{ProvenAt: at(0), MissingAt: at(day), CheckedAt: at(7 * day)}, ProofMissing},
		"missed for seven":       {v1alpha1.DomainStatus{ProvenAt: at(0), MissingAt: at(day), CheckedAt: at(8 * day)}, ProofEnded},
		"missed after a month":   {v1alpha1.DomainStatus{ProvenAt: at(0), MissingAt: at(30 * day), CheckedAt: at(30 * day)}, ProofMissing},
	} {
		if got := ProofOf(&test.status); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestAProofIsLookedForOftenAtFirst(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		checked, proven time.Duration
		held            bool
		want            time.Duration
	}{
		"at first":                    {0, -1, false, 10 * time.Second},
		"a minute later":              {time.Minute, -1, false, 10 * time.Second},
		"ten minutes later":           {10 * time.Minute, -1, false, time.Minute},
		"a day later":                 {24 * time.Hour, -1, false, 10 * time.Minute},
		"seen and held":               {time.Hour, time.Hour, true, 24 * time.Hour},
		"seen, but another holds it":  {time.Hour, time.Hour, false, 6 * time.Minute},
		"gone, an hour after":         {2 * time.Hour, time.Hour, true, 6 * time.Minute},
		"looked at before it was new": {-time.Hour, -1, false, 10 * time.Second},
	} {
		domain := &v1alpha1.Domain{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(start)}}
		domain.Status.CheckedAt = new(metav1.NewTime(start.Add(test.checked)))
		if test.proven >= 0 {
			domain.Status.ProvenAt = new(metav1.NewTime(start.Add(test.proven)))
		}
		if got := NextLook(domain, test.held).Sub(domain.Status.CheckedAt.Time); got != test.want {
			t.Errorf("%s: after %s, want %s", name, got, test.want)
		}
		metav1.SetMetaDataAnnotation(&domain.ObjectMeta, AnnotationCheckDomain, "now")
		if got := NextLook(domain, test.held).Sub(domain.Status.CheckedAt.Time); got != 2*time.Second {
			t.Errorf("%s, and asked for: after %s", name, got)
		}
	}
	if !NextLook(&v1alpha1.Domain{}, false).IsZero() {
		t.Error("what was never looked at is not due")
	}
}
