package localcluster

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/images"
)

func TestWhatAnInstanceIsNeverChanges(t *testing.T) {
	own, host := &State{}, &State{Host: &HostOf{Instance: "berth", Region: "eu", EdgePort: 7400}}
	for name, test := range map[string]struct {
		was     *State // nil: there is no instance yet
		asked   JoinOptions
		want    *HostOf
		refused string
	}{
		"a new one is one of its own":             {},
		"a new one joins, in the region named":    {asked: JoinOptions{Instance: "berth", Region: "eu-1"}, want: &HostOf{Instance: "berth", Region: "eu-1"}},
		"a new one's region is its name":          {asked: JoinOptions{Instance: "berth"}, want: &HostOf{Instance: "berth", Region: "test"}},
		"a new one does not join itself":          {asked: JoinOptions{Instance: "test"}, refused: "--join"},
		"a region is a label":                     {asked: JoinOptions{Instance: "berth", Region: "EU west"}, refused: "--region"},
		"a region is for a host":                  {asked: JoinOptions{Region: "eu"}, refused: "--region"},
		"one of its own stays so":                 {was: own},
		"one of its own does not join":            {was: own, asked: JoinOptions{Instance: "berth"}, refused: "--join"},
		"one of its own has no region to be told": {was: own, asked: JoinOptions{Region: "eu"}, refused: "--region"},
		"a host stays what it was":                {was: host, want: host.Host},
		"a host may be told what it is":           {was: host, asked: JoinOptions{Instance: "berth", Region: "eu"}, want: host.Host},
		"a host does not join another":            {was: host, asked: JoinOptions{Instance: "other"}, refused: "--join"},
		"a host does not move":                    {was: host, asked: JoinOptions{Region: "us"}, refused: "--region"},
	} {
		t.Run(name, func(t *testing.T) {
			instance := testInstance(t)
			var state State
			if test.was != nil {
				state = *test.was
				if err := instance.saveState(state); err != nil {
					t.Fatal(err)
				}
			}
			got, err := instance.hostOf(state, test.asked)
			refused(t, err, test.refused)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// refused wants an error about a field that says what to do, or none where field is empty.
func refused(t *testing.T, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if problem := errs.As(err); err == nil || problem.Field != field || problem.Fix == "" {
		t.Errorf("%v, want %s refused with a fix", err, field)
	}
}

// up is an instance that runs and is up.
func up(t *testing.T, name string, state State) *Instance {
	t.Helper()
	instance, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := instance.saveState(state); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(instance.path("run", "supervisor.json"), Running{NodePID: os.Getpid(), NodeBorn: born(os.Getpid()), Up: true}); err != nil {
		t.Fatal(err)
	}
	alive, err := instance.takeAlive()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { alive.Close() })
	return instance
}

func TestAHostJoinsAnInstanceThatIsUp(t *testing.T) {
	host := testInstance(t)
	up(t, "berth", State{})
	up(t, "eu", State{Host: &HostOf{Instance: "berth", Region: "eu", EdgePort: firstEdgePort}})
	stopped, err := Open("stopped")
	if err != nil {
		t.Fatal(err)
	}
	if err := stopped.saveState(State{}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		options UpOptions
		refused string
	}{
		"no name of an instance":         {UpOptions{Join: JoinOptions{Instance: "No Name"}}, "--join"},
		"an instance that is not there":  {UpOptions{Join: JoinOptions{Instance: "nowhere"}}, "--join"},
		"an instance that is stopped":    {UpOptions{Join: JoinOptions{Instance: "stopped"}}, "--join"},
		"an instance that is a host too": {UpOptions{Join: JoinOptions{Instance: "eu"}}, "--join"},
		"a host without Berth":           {UpOptions{Join: JoinOptions{Instance: "berth"}, Bare: true}, "--bare"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := host.joins(test.options)
			refused(t, err, test.refused)
			if host.Exists() {
				t.Error("the instance is there now")
			}
		})
	}
	management, err := host.joins(UpOptions{Join: JoinOptions{Instance: "berth"}})
	if err != nil || management.Name != "berth" {
		t.Fatalf("got %+v, %v", management, err)
	}
	again, err := host.joins(UpOptions{})
	if err != nil || again == nil || again.Name != "berth" {
		t.Errorf("at the next start: %+v, %v", again, err)
	}
	hosts, err := management.Hosts()
	want := map[string]HostOf{
		"eu":   {Instance: "berth", Region: "eu", EdgePort: firstEdgePort},
		"test": {Instance: "berth", Region: "test", EdgePort: firstEdgePort + 1},
	}
	if diff := cmp.Diff(want, hosts); diff != "" || err != nil {
		t.Errorf("hosts, each with a port of its own (-want +got):\n%s%v", diff, err)
	}
	_, err = host.joins(UpOptions{Bare: true})
	refused(t, err, "--bare")
	refused(t, host.noHost(), "--context")
	refused(t, management.noHost(), "")
}

func TestAHostThatIsOneTooManyIsRefused(t *testing.T) {
	testInstance(t)
	for port := firstEdgePort; port <= lastEdgePort; port++ {
		if got, err := freeEdgePort("berth"); err != nil || got != port {
			t.Fatalf("got %d, %v, want %d", got, err, port)
		}
		host, err := Open(fmt.Sprintf("host-%d", port))
		if err != nil {
			t.Fatal(err)
		}
		if err := host.saveState(State{Host: &HostOf{Instance: "berth", EdgePort: port}}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := freeEdgePort("berth")
	refused(t, err, "--join")
}

func TestAHostsValues(t *testing.T) {
	joined := map[string]any{
		"management": map[string]any{"controllerName": "eu", "kubeconfigs": map[string]any{"controller": "c", "router": "r"}, "port": 443},
		"edgeCA":     map[string]any{"certificate": "pem", "key": "pem"},
		// Of the edges that there were: a host that joins later must not change this one's.
		"router": map[string]any{"peerCIDRs": []any{map[string]any{"cidr": "10.88.0.1/32", "port": 7303}}},
	}
	got := hostValues(images.Set{}, joined, "eu", 8443)
	delete(got, "images")
	want := map[string]any{
		"domain": Domain, "edgePort": 8443,
		"edgeCA": map[string]any{"certificate": "pem", "key": "pem"},
		"management": map[string]any{
			"controllerName": "eu", "kubeconfigs": map[string]any{"controller": "c", "router": "r"},
			"egressCIDRs": []any{"10.88.0.1/32"}, "port": 7301,
		},
		"router": map[string]any{
			"service": map[string]any{"clusterIP": edgeServiceIP},
			"peerCIDRs": []any{
				map[string]any{"cidr": "10.88.0.1/32", "port": 7303}, map[string]any{"cidr": "10.88.0.1/32", "port": 7400, "endPort": 7499},
			},
		},
		"hostCluster": map[string]any{"create": false, "network": map[string]any{"apiServerCIDRs": []any{"10.88.0.1/32"}, "apiServerPort": 6443}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAHostIsDescribedAsTheChartDescribesAnInstance(t *testing.T) {
	of := HostOf{Instance: "berth", Region: "eu", EdgePort: 7401}
	for _, fargate := range []Fargate{{}, {Enabled: true}} {
		spec := hostSpec(of, UpOptions{PoolSize: 3, Fargate: fargate})
		own := chartValues(images.Set{}, State{Fargate: fargate}, 3)["hostCluster"].(map[string]any)
		network := own["network"].(map[string]any)
		got := []any{int(spec.CPUOvercommit), int(spec.Pool.Size), anyOf(spec.Network.APIServerCIDRs), int(spec.Network.APIServerPort), anyOf(spec.Network.DeniedCIDRs)}
		want := []any{own["cpuOvercommit"], own["pool"].(map[string]any)["size"], network["apiServerCIDRs"], network["apiServerPort"], network["deniedCIDRs"]}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if own["edgeAddress"] != "10.88.0.1:7303" {
			t.Errorf("hosts look for this instance's edge at %v", own["edgeAddress"])
		}
		if spec.Region != "eu" || spec.EdgeAddress != "10.88.0.1:7401" {
			t.Errorf("got %+v", spec)
		}
	}
}

func TestImagesThatAHostLacksComeFromItsManagementCluster(t *testing.T) {
	instance := testInstance(t)
	for isHost, server := range map[bool]string{false: "http://10.88.0.1:5000", true: "http://10.88.0.1:7302"} {
		if err := instance.writeConfig("/parts", isHost); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(instance.path(configFiles["hosts.toml"]))
		if err != nil {
			t.Fatal(err)
		}
		if text := string(data); !strings.Contains(text, `server = "`+server+`"`) || !strings.Contains(text, `[host."http://10.88.0.1:5000"]`) {
			t.Errorf("a host is %t:\n%s", isHost, text)
		}
	}
}

func TestAHostIsReadyOnceItsControllerSaysSo(t *testing.T) {
	for name, test := range map[string]struct {
		conditions []metav1.Condition
		want       bool
	}{
		"nobody has looked":     {nil, false},
		"of an earlier spec":    {[]metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: 1}}, false},
		"being filled":          {[]metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing, ObservedGeneration: 2}}, false},
		"full of tenants":       {[]metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoCapacity, ObservedGeneration: 2}}, true},
		"filled":                {[]metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: 2}}, true},
		"kept from new tenants": {[]metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCordoned, ObservedGeneration: 2}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			host := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Status: v1alpha1.HostClusterStatus{Conditions: test.conditions}}
			if got, seen := seenAsHost(host); got != test.want {
				t.Errorf("ready: %t, want %t; %s", got, test.want, seen)
			}
		})
	}
}
