package berth_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/api/v1alpha1/crds"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestDefaultManifest(t *testing.T) {
	files, err := render(t, minimal(), "berth-system")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/default.golden.yaml"
	got := manifest(files)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run the test with -update if this is meant:\n%s", diff)
	}
}

func TestKindsAreThoseOfTheAPI(t *testing.T) {
	var got []string
	for _, crd := range load(t).CRDObjects() {
		got = append(got, strings.TrimPrefix(crd.Name, "crds/"))
		want, err := crds.FS.ReadFile(strings.TrimPrefix(crd.Name, "crds/"))
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != string(crd.File.Data) {
			t.Errorf("%s differs from the generated one", crd.Name)
		}
	}
	entries, err := crds.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(entries) {
		t.Errorf("the chart has %v", got)
	}
}

func TestEveryContainerIsRestricted(t *testing.T) {
	for name, values := range map[string]map[string]any{"default": minimal(), "EKS": eks()} {
		t.Run(name, func(t *testing.T) {
			seen := 0
			for _, object := range mustObjects(t, values) {
				if pod := podOf(object); pod != nil {
					seen++
					checkRestricted(t, object.GetName(), pod)
				}
			}
			if seen != 4 {
				t.Errorf("%d pod templates, want 4", seen)
			}
		})
	}
}

func podOf(object metav1.Object) *corev1.PodSpec {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template.Spec
	case *batchv1.Job:
		return &o.Spec.Template.Spec
	}
	return nil
}

func checkRestricted(t *testing.T, name string, pod *corev1.PodSpec) {
	t.Helper()
	security := pod.SecurityContext
	if security == nil || security.RunAsNonRoot == nil || !*security.RunAsNonRoot || security.RunAsUser == nil || *security.RunAsUser == 0 ||
		security.SeccompProfile == nil || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: the pod's security context is %v", name, security)
	}
	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Errorf("%s: uses a namespace of the host's", name)
	}
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		own := container.SecurityContext
		if own == nil || own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation || own.ReadOnlyRootFilesystem == nil || !*own.ReadOnlyRootFilesystem ||
			own.Capabilities == nil || !slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(own.Capabilities.Add) > 0 {
			t.Errorf("%s: container %s has security context %v", name, container.Name, own)
		}
		if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: container %s has no memory limit or CPU request", name, container.Name)
		}
		if !strings.Contains(container.Image, ":") {
			t.Errorf("%s: image %s has no tag", name, container.Image)
		}
	}
	for _, volume := range pod.Volumes {
		if volume.HostPath != nil {
			t.Errorf("%s: volume %s is a folder of the host's", name, volume.Name)
		}
	}
}

func TestEveryNameThatIsUsedExists(t *testing.T) {
	all := mustObjects(t, minimal())
	have := map[string]bool{"ConfigMap/kube-root-ca.crt": true}
	for _, object := range all {
		switch object.(type) {
		case *corev1.Secret:
			have["Secret/"+object.GetName()] = true
		case *corev1.ServiceAccount:
			have["ServiceAccount/"+object.GetName()] = true
		case *rbacv1.ClusterRole:
			have["ClusterRole/"+object.GetName()] = true
		case *rbacv1.Role:
			have["Role/"+object.GetName()] = true
		}
	}
	need := func(by, what string) {
		if !have[what] {
			t.Errorf("%s uses %s, which the chart does not have", by, what)
		}
	}
	for _, object := range all {
		if pod := podOf(object); pod != nil {
			need(object.GetName(), "ServiceAccount/"+pod.ServiceAccountName)
			checkVolumes(object.GetName(), pod, need)
		}
		switch o := object.(type) {
		case *rbacv1.ClusterRoleBinding:
			need(o.Name, o.RoleRef.Kind+"/"+o.RoleRef.Name)
			need(o.Name, "ServiceAccount/"+o.Subjects[0].Name)
		case *rbacv1.RoleBinding:
			need(o.Name, o.RoleRef.Kind+"/"+o.RoleRef.Name)
			need(o.Name, "ServiceAccount/"+o.Subjects[0].Name)
		case *corev1.Secret:
			if account := o.Annotations[corev1.ServiceAccountNameKey]; account != "" {
				need(o.Name, "ServiceAccount/"+account)
			}
		}
	}
}

func checkVolumes(name string, pod *corev1.PodSpec, need func(by, what string)) {
	volumes := map[string]bool{}
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = true
		if volume.Secret != nil {
			need(name, "Secret/"+volume.Secret.SecretName)
		}
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ConfigMap != nil {
				need(name, "ConfigMap/"+source.ConfigMap.Name)
			}
		}
	}
	for _, container := range pod.Containers {
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] {
				need(name+"/"+container.Name, "Volume/"+mount.Name)
			}
		}
	}
}

func TestServicesReachPods(t *testing.T) {
	all := mustObjects(t, minimal())
	for service, deployment := range map[string]string{"berth-portal": "berth", "berth-router": "berth-router"} {
		s, d := find[*corev1.Service](t, all, service), find[*appsv1.Deployment](t, all, deployment)
		for key, value := range s.Spec.Selector {
			if d.Spec.Template.Labels[key] != value {
				t.Errorf("%s selects %s=%s, the pods of %s have %q", service, key, value, deployment, d.Spec.Template.Labels[key])
			}
		}
		ports := map[string]bool{}
		for _, container := range d.Spec.Template.Spec.Containers {
			for _, port := range container.Ports {
				ports[port.Name] = true
			}
		}
		for _, port := range s.Spec.Ports {
			if !ports[port.TargetPort.StrVal] {
				t.Errorf("%s sends %d to port %s, which no container has", service, port.Port, port.TargetPort.StrVal)
			}
		}
	}
}

func TestRights(t *testing.T) {
	all := mustObjects(t, minimal())
	t.Run("across the cluster the portal, the router and other hosts read no Secret and run nothing", func(t *testing.T) {
		for _, role := range []string{"berth-portal", "berth-router", "berth-host-controller", "berth-host-router"} {
			for _, rule := range find[*rbacv1.ClusterRole](t, all, role).Rules {
				for _, resource := range rule.Resources {
					if slices.Contains([]string{"secrets", "pods", "pods/exec", "serviceaccounts", "*"}, resource) {
						t.Errorf("%s may %v %s", role, rule.Verbs, resource)
					}
				}
			}
		}
	})
	t.Run("no role has a wildcard, escalate, bind or impersonate", func(t *testing.T) {
		for _, object := range all {
			role, ok := object.(*rbacv1.ClusterRole)
			if !ok {
				continue
			}
			for _, rule := range role.Rules {
				for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
					if slices.Contains([]string{"*", "escalate", "bind", "impersonate"}, word) {
						t.Errorf("%s has %q", role.Name, word)
					}
				}
			}
		}
	})
	t.Run("the router only reads", func(t *testing.T) {
		for _, role := range []string{"berth-router", "berth-host-router"} {
			for _, rule := range find[*rbacv1.ClusterRole](t, all, role).Rules {
				if !slices.Equal(rule.Verbs, []string{"get", "list", "watch"}) {
					t.Errorf("%s: %v: %v", role, rule.Resources, rule.Verbs)
				}
			}
		}
	})
	t.Run("the portal's container gets its own token and never the controller's or the edge's key", func(t *testing.T) {
		pod := find[*appsv1.Deployment](t, all, "berth").Spec.Template.Spec
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Error("the pod's token is mounted into every container")
		}
		for _, mount := range pod.Containers[1].VolumeMounts {
			if strings.HasPrefix(mount.Name, "controller-") {
				t.Errorf("the portal mounts %s", mount.Name)
			}
		}
		for _, volume := range pod.Volumes {
			if volume.Secret == nil {
				continue
			}
			for _, item := range volume.Secret.Items {
				if item.Key == "tls.key" {
					t.Errorf("volume %s holds %s", volume.Name, item.Key)
				}
			}
			if len(volume.Secret.Items) == 0 {
				t.Errorf("volume %s holds every key", volume.Name)
			}
		}
	})
}

func TestNetworkPolicies(t *testing.T) {
	all := mustObjects(t, minimal())
	deny := find[*networkingv1.NetworkPolicy](t, all, "berth-deny")
	if len(deny.Spec.PolicyTypes) != 2 || len(deny.Spec.Ingress) > 0 || len(deny.Spec.Egress) > 0 || len(deny.Spec.PodSelector.MatchLabels) > 0 {
		t.Errorf("berth-deny is %+v", deny.Spec)
	}
	platform := find[*networkingv1.NetworkPolicy](t, all, "berth-platform")
	if len(platform.Spec.Ingress) != 1 || len(platform.Spec.Ingress[0].From) != 1 || platform.Spec.Ingress[0].From[0].PodSelector.MatchLabels["app.kubernetes.io/component"] != "router" {
		t.Errorf("the portal is open to %+v", platform.Spec.Ingress)
	}
	common := find[*networkingv1.NetworkPolicy](t, all, "berth-common")
	if len(common.Spec.Ingress) != 0 {
		t.Errorf("metrics are open to %+v", common.Spec.Ingress)
	}
	if cidr := common.Spec.Egress[0].To[0].IPBlock.CIDR; cidr != "10.88.0.1/32" {
		t.Errorf("the API server is at %s", cidr)
	}
}

func TestEKSValues(t *testing.T) {
	all := mustObjects(t, eks())
	service := find[*corev1.Service](t, all, "berth-router")
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || len(service.Annotations) != 1 {
		t.Errorf("the router's service is %s with %v", service.Spec.Type, service.Annotations)
	}
	router := find[*appsv1.Deployment](t, all, "berth-router")
	if *router.Spec.Replicas != 2 || len(router.Spec.Template.Spec.TopologySpreadConstraints) != 1 {
		t.Errorf("the router has %d replicas", *router.Spec.Replicas)
	}
	host := find[*v1alpha1.HostCluster](t, all, "eu-1")
	if host.Spec.Network.APIServerPort != 443 || host.Spec.Pool.Size != 5 || host.Spec.StorageClassName != "gp3" {
		t.Errorf("the host cluster is %+v", host.Spec)
	}
	var plans []string
	for _, object := range all {
		if plan, ok := object.(*v1alpha1.Plan); ok {
			plans = append(plans, plan.Name)
		}
	}
	if diff := cmp.Diff([]string{"huge", "large", "medium"}, plans); diff != "" {
		t.Error(diff)
	}
	token := find[*corev1.Secret](t, all, "berth-operator-token")
	if string(token.Data["hash"]) != strings.Repeat("ab", 32) || token.Data["token"] != nil {
		t.Errorf("the token's Secret has %v", token.Data)
	}
	args := find[*appsv1.Deployment](t, all, "berth").Spec.Template.Spec.Containers[0].Args
	if want := "--vcluster-image=123456789012.dkr.ecr.eu-central-1.amazonaws.com/berth/vcluster-oss:0.36.1"; !slices.Contains(args, want) {
		t.Errorf("%s is not among %v", want, args)
	}
}

func TestDomainsAreLookedAtAsTheValuesSay(t *testing.T) {
	values := minimal()
	values["domains"] = map[string]any{"resolver": "10.0.0.2:5354", "privateCIDRs": []any{"10.0.0.0/16", "fd00::/8"}}
	args := find[*appsv1.Deployment](t, mustObjects(t, values), "berth").Spec.Template.Spec.Containers[0].Args
	for _, want := range []string{"--domain-resolver=10.0.0.2:5354", "--domain-private-cidrs=10.0.0.0/16,fd00::/8"} {
		if !slices.Contains(args, want) {
			t.Errorf("%s is not among %v", want, args)
		}
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(map[string]any)
		says   string
	}{
		"an unknown key":                {func(v map[string]any) { v["domian"] = "x.y" }, "domian"},
		"a domain with a port":          {func(v map[string]any) { v["domain"] = "example.com:443" }, "/domain"},
		"a domain of one label":         {func(v map[string]any) { v["domain"] = "localhost" }, "/domain"},
		"a port out of range":           {func(v map[string]any) { v["edgePort"] = 70000 }, "/edgePort"},
		"a zone twice":                  {func(v map[string]any) { v["hostCluster"] = map[string]any{"zones": []any{"a", "a"}} }, "/hostCluster/zones"},
		"an edge without its port":      {func(v map[string]any) { section(v, "hostCluster")["edgeAddress"] = "edge.example.com" }, "/hostCluster/edgeAddress"},
		"an address without a length":   {network("apiServerCIDRs", []any{"10.0.0.1"}), "/hostCluster/network/apiServerCIDRs/0"},
		"no address of the API server":  {network("apiServerCIDRs", []any{}), "hostCluster.network.apiServerCIDRs"},
		"a DNS server without a port":   {func(v map[string]any) { v["domains"] = map[string]any{"resolver": "10.0.0.2"} }, "/domains/resolver"},
		"a proof's address of no block": {func(v map[string]any) { v["domains"] = map[string]any{"privateCIDRs": []any{"10.0.0.1"}} }, "/domains/privateCIDRs/0"},
		"a token instead of its hash":   {func(v map[string]any) { v["operatorToken"] = map[string]any{"hash": "berth_secret"} }, "/operatorToken/hash"},
		"a certificate without its key": {func(v map[string]any) { v["edgeCA"] = map[string]any{"certificate": "-----BEGIN CERTIFICATE-----"} }, "/edgeCA"},
		"a plan without OCUs":           {func(v map[string]any) { v["plans"] = map[string]any{"tiny": map[string]any{"storage": "1Gi"}} }, "/plans/tiny"},
		"a plan with no OCUs":           {func(v map[string]any) { v["plans"] = map[string]any{"small": map[string]any{"ocus": 0}} }, "/plans/small"},
		"no router":                     {func(v map[string]any) { v["router"] = map[string]any{"replicas": 0} }, "/router/replicas"},
		"an image of vCluster's parts by digest": {func(v map[string]any) {
			v["images"] = map[string]any{"vcluster": "r.io/v@sha256:" + strings.Repeat("0", 64)}
		}, "/images/vcluster"},
	} {
		t.Run(name, func(t *testing.T) {
			values := minimal()
			test.change(values)
			_, err := render(t, values, "berth-system")
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error does not name %s: %v", test.says, err)
			}
		})
	}
	t.Run("another namespace", func(t *testing.T) {
		if _, err := render(t, minimal(), "default"); err == nil || !strings.Contains(err.Error(), "--namespace berth-system") {
			t.Errorf("got %v", err)
		}
	})
}

func network(key string, value any) func(map[string]any) {
	return func(values map[string]any) {
		values["hostCluster"] = map[string]any{"network": map[string]any{key: value}}
	}
}
