package tenancy

import (
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func TestAnIDIsEightCharactersALetterFirst(t *testing.T) {
	pattern := regexp.MustCompile(`^[a-z][a-z0-9]{7}$`)
	seen := map[string]bool{}
	for range 2000 {
		id, err := NewID()
		if err != nil {
			t.Fatal(err)
		}
		if !pattern.MatchString(id) {
			t.Fatalf("%q is no id", id)
		}
		if seen[id] {
			t.Fatalf("%q came twice", id)
		}
		seen[id] = true
	}
}

func TestATenantsNameIs(t *testing.T) {
	for name, taken := range map[string]bool{
		"shop": true, "a": true, "my-shop-2": true, strings.Repeat("a", 30): true,
		"": false, "Shop": false, "2shop": false, "shop-": false, "my--shop": false, "my_shop": false,
		strings.Repeat("a", 31): false, "api": false, "k8s": false, "my-builder": false,
	} {
		if err := CheckTenantName(name); (err == nil) != taken {
			t.Errorf("%q: %v, want it taken: %t", name, err, taken)
		}
	}
}

func TestAnAppsNameIsANamespaceToo(t *testing.T) {
	for _, name := range []string{"default", "kube-system", "kube-web", "berth-system", "www"} {
		if CheckAppName(name) == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

func TestHostNames(t *testing.T) {
	long := strings.Repeat("c", 30)
	other := PortHost("metrics-port-1", long, strings.Repeat("a", 29)+"b", "shop", "berth.localhost")
	for got, want := range map[string]string{
		AppHost("web", "shop", "berth.localhost"):                  "web.shop.berth.localhost",
		ComponentHost("api", "web", "shop", "berth.localhost"):     "api--web.shop.berth.localhost",
		PortHost("admin", "api", "web", "shop", "berth.localhost"): "admin--api--web.shop.berth.localhost",
		ClusterHost("k3x9m2pq", "berth.localhost"):                 "k3x9m2pq.k8s.berth.localhost",
		URL("web.shop.berth.localhost", 8443):                      "https://web.shop.berth.localhost:8443",
		URL("web.shop.example.com", 443):                           "https://web.shop.example.com",
		Endpoint("k3x9m2pq"):                                       "k3x9m2pq.vc-k3x9m2pq.svc:443",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	label, _, _ := strings.Cut(PortHost("metrics-port-1", long, strings.Repeat("a", 30), "shop", "berth.localhost"), ".")
	if len(label) > 63 {
		t.Errorf("label %s is longer than DNS allows", label)
	}
	if strings.HasPrefix(other, label+".") {
		t.Error("two apps have the same host name")
	}
}

func TestAProcessGetsWhatItsOCUsAreWorth(t *testing.T) {
	for name, test := range map[string]struct {
		ocus, overcommit    int32
		limit, request, mem string
	}{
		"one, requests equal limits":    {1, 1, "100m", "100m", "1Gi"},
		"four, ten times overcommitted": {4, 10, "400m", "40m", "4Gi"},
		"a request is never zero":       {1, 100, "100m", "1m", "1Gi"},
		"an unset overcommit is one":    {2, 0, "200m", "200m", "2Gi"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Resources(test.ocus, test.overcommit)
			for what, pair := range map[string][2]resource.Quantity{
				"cpu limit":      {got.Limits[corev1.ResourceCPU], resource.MustParse(test.limit)},
				"cpu request":    {got.Requests[corev1.ResourceCPU], resource.MustParse(test.request)},
				"memory limit":   {got.Limits[corev1.ResourceMemory], resource.MustParse(test.mem)},
				"memory request": {got.Requests[corev1.ResourceMemory], resource.MustParse(test.mem)},
			} {
				if pair[0].Cmp(pair[1]) != 0 {
					t.Errorf("%s %s, want %s", what, pair[0].String(), pair[1].String())
				}
			}
		})
	}
}

// sumOf adds up one resource over a process and its sidecars.
func sumOf(list func(corev1.ResourceRequirements) corev1.ResourceList, name corev1.ResourceName, all ...corev1.ResourceRequirements) resource.Quantity {
	var sum resource.Quantity
	for _, one := range all {
		sum.Add(list(one)[name])
	}
	return sum
}

func TestSidecarsShareWhatTheProcessHasAndNothingIsLost(t *testing.T) {
	limits := func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }
	requests := func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Requests }
	for name, test := range map[string]struct {
		ocus, overcommit int32
		percents         []int32
	}{
		"one sidecar":                           {1, 1, []int32{10}},
		"shares that cut bytes":                 {3, 1, []int32{7, 13, 29, 41}},
		"as much as they may":                   {1, 10, []int32{70, 5, 5, 10}},
		"shares of less than a thousandth":      {1, 100, []int32{5, 85}},
		"no sidecar":                            {2, 10, nil},
		"the largest process and many sidecars": {100, 10, []int32{33, 33, 23}},
	} {
		t.Run(name, func(t *testing.T) {
			whole := Resources(test.ocus, test.overcommit)
			own, sidecars := Shares(test.ocus, test.overcommit, test.percents)
			if len(sidecars) != len(test.percents) {
				t.Fatalf("%d shares for %d sidecars", len(sidecars), len(test.percents))
			}
			for _, resourceName := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				for what, list := range map[string]func(corev1.ResourceRequirements) corev1.ResourceList{"limits": limits, "requests": requests} {
					got, want := sumOf(list, resourceName, append(sidecars, own)...), list(whole)[resourceName]
					if got.Cmp(want) != 0 {
						t.Errorf("%s of %s: %s together, want %s", what, resourceName, got.String(), want.String())
					}
					if left := list(own)[resourceName]; left.Sign() <= 0 {
						t.Errorf("%s of %s: nothing is left for the process", what, resourceName)
					}
				}
			}
			for i, percent := range test.percents {
				if got, want := sidecars[i].Limits.Cpu().MilliValue(), int64(test.ocus*percent); got != want {
					t.Errorf("sidecar %d may use %dm, want %dm", i, got, want)
				}
			}
		})
	}
}

func app(components []v1alpha1.Component, formation ...v1alpha1.ComponentFormation) v1alpha1.App {
	return v1alpha1.App{Spec: v1alpha1.AppSpec{
		Template:  &v1alpha1.AppTemplate{Components: components},
		Formation: formation,
	}}
}

func TestUsageAndSurgeOfAnApp(t *testing.T) {
	volume := []v1alpha1.Volume{{Name: "data"}}
	for name, test := range map[string]struct {
		app          v1alpha1.App
		usage, surge int32
	}{
		"not deployed":                      {v1alpha1.App{}, 0, 0},
		"a component runs once by itself":   {app([]v1alpha1.Component{{Name: "web"}}), 1, 1},
		"one process more for every four":   {app([]v1alpha1.Component{{Name: "web"}}, v1alpha1.ComponentFormation{Name: "web", Count: 5, OCUs: 2}), 10, 4},
		"a stopped component needs nothing": {app([]v1alpha1.Component{{Name: "web"}}, v1alpha1.ComponentFormation{Name: "web", OCUs: 2}), 0, 0},
		"a component with a volume does not surge": {
			app([]v1alpha1.Component{{Name: "db", Volumes: volume}, {Name: "web"}}, v1alpha1.ComponentFormation{Name: "db", Count: 1, OCUs: 4}), 5, 1,
		},
		"a component that runs by the clock is reserved and does not surge": {
			app([]v1alpha1.Component{{Name: "report", Cron: &v1alpha1.Cron{}}}, v1alpha1.ComponentFormation{Name: "report", Count: 1, OCUs: 3}), 3, 0,
		},
		"a formation of a component that left counts for nothing": {
			app([]v1alpha1.Component{{Name: "web"}}, v1alpha1.ComponentFormation{Name: "old", Count: 9, OCUs: 9}), 1, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := AppUsage(&test.app); got != test.usage {
				t.Errorf("usage %d, want %d", got, test.usage)
			}
			if got := AppSurge(&test.app); got != test.surge {
				t.Errorf("surge %d, want %d", got, test.surge)
			}
		})
	}
}

func TestTheQuotaHoldsThePlanTheControlPlaneAndTheHeadroom(t *testing.T) {
	plan := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{OCUs: 10, Storage: resource.MustParse("20Gi"), MaxPods: 50}}
	quota := Quota(plan, 4, 10)
	for name, want := range map[corev1.ResourceName]string{
		corev1.ResourceLimitsCPU:             "3600m",   // 14 OCUs + 2000m + 200m
		corev1.ResourceLimitsMemory:          "16000Mi", // 14 Gi + 1536 Mi + 128 Mi
		corev1.ResourceRequestsCPU:           "250m",    // 140m + 50 pods + 50m + 10m
		corev1.ResourceRequestsMemory:        "15104Mi", // 14 Gi + 640 Mi + 128 Mi
		corev1.ResourceRequestsStorage:       "25Gi",
		corev1.ResourcePods:                  "55",
		"count/pods":                         "120",
		corev1.ResourceSecrets:               "150",
		corev1.ResourceConfigMaps:            "150",
		corev1.ResourceServicesNodePorts:     "0",
		corev1.ResourceServicesLoadBalancers: "0",
	} {
		got := quota[name]
		if got.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s is %s, want %s", name, got.String(), want)
		}
	}
}

func TestAContainerWithoutLimitsMayFillItsHostsDiskOnlySoFar(t *testing.T) {
	item := ContainerDefaults(10)
	limit, request := item.Default[corev1.ResourceEphemeralStorage], item.DefaultRequest[corev1.ResourceEphemeralStorage]
	if limit.Cmp(resource.MustParse("2Gi")) != 0 {
		t.Errorf("the limit is %s, want 2Gi", limit.String())
	}
	if most := item.Max[corev1.ResourceEphemeralStorage]; most.Cmp(resource.MustParse("8Gi")) != 0 {
		t.Errorf("at most it is %s, want 8Gi", most.String())
	}
	if _, said := item.DefaultRequest[corev1.ResourceEphemeralStorage]; !said || !request.IsZero() {
		t.Errorf("the request is %s (said: %t), want 0 and said", request.String(), said)
	}
	if _, changed := Resources(1, 10).Limits[corev1.ResourceEphemeralStorage]; changed {
		t.Error("an app's own resources were changed too")
	}
}

func TestTheHeadroomIsTheLargestRolloutAndNeverMoreThanThePlanAgain(t *testing.T) {
	plan := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{OCUs: 10}}
	web := []v1alpha1.Component{{Name: "web"}}
	small := app(web, v1alpha1.ComponentFormation{Name: "web", Count: 1, OCUs: 3})
	huge := app(web, v1alpha1.ComponentFormation{Name: "web", Count: 1, OCUs: 100})
	renamed := small
	renamed.Status.Components = []v1alpha1.ComponentStatus{{Name: "front", Desired: 1, OCUs: 2}, {Name: "web", Desired: 1, OCUs: 3}}
	for name, test := range map[string]struct {
		apps []v1alpha1.App
		want int32
	}{
		"no app: runs alone":             {nil, RunOCUs},
		"the largest app, not all":       {[]v1alpha1.App{small, small}, 3 + RunOCUs},
		"at most the plan once more":     {[]v1alpha1.App{huge}, 10},
		"what leaves when its heir runs": {[]v1alpha1.App{renamed}, 3 + 2 + RunOCUs},
		"what leaves adds up over apps":  {[]v1alpha1.App{renamed, renamed}, 3 + 2 + 2 + RunOCUs},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Headroom(plan, test.apps); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

func TestAComponentThatFillsThePlanCanBeRenamed(t *testing.T) {
	plan := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{OCUs: 20, MaxPods: 20}}
	renamed := app([]v1alpha1.Component{{Name: "new"}}, v1alpha1.ComponentFormation{Name: "new", Count: 4, OCUs: 5})
	renamed.Status.Components = []v1alpha1.ComponentStatus{{Name: "old", Desired: 4, OCUs: 5}}
	if room, want := plan.Spec.OCUs+Headroom(plan, []v1alpha1.App{renamed}), int32(4*5+4*5); room < want {
		t.Errorf("there is room for %d OCUs, want %d", room, want)
	}
}
