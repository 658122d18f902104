package berth_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

const secretToken = "eyJ-a-token-that-nobody-sees"

// host is an installation on a host of another management cluster.
func host() map[string]any {
	return map[string]any{
		"hostCluster": map[string]any{"create": false, "network": map[string]any{"apiServerCIDRs": []any{"10.1.0.0/24"}, "apiServerPort": 443}},
		"edgeCA":      map[string]any{"certificate": rootText, "key": "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"},
		"management": map[string]any{
			"controllerName": "eu", "egressCIDRs": []any{"203.0.113.10/32"}, "port": 6443,
			"kubeconfigs": map[string]any{"controller": "controller " + secretToken, "router": "router " + secretToken},
		},
		"router": map[string]any{"peerCIDRs": []any{map[string]any{"cidr": "198.51.100.0/28", "port": 443}}},
	}
}

func TestAHostHasAControllerAndAnEdgeAndNothingElse(t *testing.T) {
	var got []string
	for _, object := range mustObjects(t, host()) {
		kind := strings.TrimPrefix(strings.TrimPrefix(typeName(object), "*v1."), "*v1alpha1.")
		got = append(got, kind+" "+object.GetName())
	}
	slices.Sort(got)
	want := []string{
		"ClusterRole berth-controller", "ClusterRole berth-router", "ClusterRoleBinding berth-controller", "ClusterRoleBinding berth-router",
		"Deployment berth", "Deployment berth-router",
		"NetworkPolicy berth-common", "NetworkPolicy berth-deny", "NetworkPolicy berth-platform", "NetworkPolicy berth-router",
		"PriorityClass berth-platform", "Secret berth-edge-ca", "Secret berth-management",
		"Service berth-router", "ServiceAccount berth-controller", "ServiceAccount berth-router",
	}
	if !slices.Equal(got, want) {
		t.Errorf("it has\n%s\nand should have\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	containers := find[*appsv1.Deployment](t, mustObjects(t, host()), "berth").Spec.Template.Spec.Containers
	if len(containers) != 1 || containers[0].Name != "controller" {
		t.Errorf("the platform's pod has %d containers", len(containers))
	}
}

func TestAHostsProgramsFindTheManagementCluster(t *testing.T) {
	all := mustObjects(t, host())
	for deployment, program := range map[string]string{"berth": "controller", "berth-router": "router"} {
		pod := find[*appsv1.Deployment](t, all, deployment).Spec.Template
		container := pod.Spec.Containers[0]
		for _, want := range []string{"--controller-name=eu", "--management-kubeconfig=/etc/berth/management/" + program} {
			if !slices.Contains(container.Args, want) {
				t.Errorf("%s does not get %s", program, want)
			}
		}
		if slices.ContainsFunc(container.Args, func(arg string) bool {
			return strings.HasPrefix(arg, "--api-upstream") || strings.HasPrefix(arg, "--acme") || strings.HasPrefix(arg, "--access-address")
		}) {
			t.Errorf("%s gets %v", program, container.Args)
		}
		mounts := slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool {
			return m.Name == "management" && m.MountPath == "/etc/berth/management" && m.ReadOnly
		})
		i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "management" })
		if !mounts || i < 0 {
			t.Fatalf("%s mounts no way to the management cluster", program)
		}
		source := pod.Spec.Volumes[i].Secret
		if source.SecretName != "berth-management" || len(source.Items) != 1 || source.Items[0].Key != program {
			t.Errorf("%s mounts %+v: each has its own kubeconfig and not the other's", program, source)
		}
	}
	for _, object := range all {
		if pod := podOf(object); pod != nil {
			checkRestricted(t, object.GetName(), pod)
		}
	}
}

func TestAKubeconfigIsInItsSecretAlone(t *testing.T) {
	files, err := render(t, host(), "berth-system")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.Contains(text, secretToken) {
			t.Errorf("%s has it in the clear", name)
		}
	}
	secret := find[*corev1.Secret](t, objects(t, files), "berth-management")
	if string(secret.Data["controller"]) != "controller "+secretToken || string(secret.Data["router"]) != "router "+secretToken {
		t.Error("the Secret does not have the kubeconfigs")
	}
	before := find[*appsv1.Deployment](t, objects(t, files), "berth").Spec.Template.Annotations
	other := host()
	section(other, "management")["kubeconfigs"] = map[string]any{"controller": "another", "router": "another"}
	if maps.Equal(before, find[*appsv1.Deployment](t, mustObjects(t, other), "berth").Spec.Template.Annotations) {
		t.Error("a controller that has read the old kubeconfig goes on with it")
	}
}

func TestAKubeconfigSecretOfOnesOwnIsUsed(t *testing.T) {
	values := host()
	delete(section(values, "management"), "kubeconfigs")
	section(values, "management")["kubeconfigSecret"] = "mine"
	all := mustObjects(t, values)
	for _, object := range all {
		if secret, ok := object.(*corev1.Secret); ok && secret.Name != "berth-edge-ca" {
			t.Errorf("there is also a Secret %s", secret.Name)
		}
	}
	for _, volume := range find[*appsv1.Deployment](t, all, "berth-router").Spec.Template.Spec.Volumes {
		if volume.Name == "management" && volume.Secret.SecretName != "mine" {
			t.Errorf("it mounts %s", volume.Secret.SecretName)
		}
	}
}

func TestAHostHasNoRightsOverKindsThatAreNotThere(t *testing.T) {
	for _, object := range mustObjects(t, host()) {
		role, ok := object.(*rbacv1.ClusterRole)
		if !ok {
			continue
		}
		for _, rule := range role.Rules {
			if slices.Contains(rule.APIGroups, v1alpha1.GroupVersion.Group) {
				t.Errorf("%s may %v %v", role.Name, rule.Verbs, rule.Resources)
			}
		}
	}
}

// The controller of a host and that of the management cluster install the same charts.
func TestOnItsOwnClusterAHostsControllerMayDoTheSame(t *testing.T) {
	held := find[*rbacv1.ClusterRole](t, mustObjects(t, host()), "berth-controller").Rules
	for _, rule := range find[*rbacv1.ClusterRole](t, mustObjects(t, minimal()), "berth-controller").Rules {
		if slices.Contains(rule.APIGroups, v1alpha1.GroupVersion.Group) {
			continue
		}
		for _, missing := range notHeld(held, rule) {
			t.Errorf("it may not %s", missing)
		}
	}
}

func TestAHostReachesTheManagementClusterAndOtherEdges(t *testing.T) {
	all := mustObjects(t, host())
	if got := ways(find[*networkingv1.NetworkPolicy](t, all, "berth-common")); !got["203.0.113.10/32:6443"] || !got["10.1.0.0/24:443"] {
		t.Errorf("controller and edge reach %v", got)
	}
	if got := ways(find[*networkingv1.NetworkPolicy](t, all, "berth-router")); !got["198.51.100.0/28:443"] {
		t.Errorf("the edge reaches %v", got)
	}
	platform := find[*networkingv1.NetworkPolicy](t, all, "berth-platform")
	if len(platform.Spec.Ingress) > 0 || len(platform.Spec.Egress) != 1 {
		t.Errorf("a controller alone needs its tenants' API servers, and has %+v", platform.Spec)
	}
}

func TestTheManagementClustersEdgeReachesOtherEdges(t *testing.T) {
	values := minimal()
	values["router"] = map[string]any{"peerCIDRs": []any{
		map[string]any{"cidr": "198.51.100.0/28", "port": 443}, map[string]any{"cidr": "10.88.0.1/32", "port": 7400, "endPort": 7499},
	}}
	policy := find[*networkingv1.NetworkPolicy](t, mustObjects(t, values), "berth-router")
	if got := ways(policy); !got["198.51.100.0/28:443"] || !got["10.88.0.1/32:7400-7499"] {
		t.Errorf("the edge reaches %v", got)
	}
}

func TestOtherHostsFindTheManagementClustersEdge(t *testing.T) {
	for _, want := range []string{"", "edge.example.com:443", "203.0.113.10:8443", "[fd00::1]:443"} {
		values := minimal()
		section(values, "hostCluster")["edgeAddress"] = want
		if got := find[*v1alpha1.HostCluster](t, mustObjects(t, values), "local").Spec.EdgeAddress; got != want {
			t.Errorf("they are told %q, want %q", got, want)
		}
	}
}

func TestThePortalReachesItsEdge(t *testing.T) {
	for _, rule := range find[*networkingv1.NetworkPolicy](t, mustObjects(t, minimal()), "berth-platform").Spec.Egress {
		for _, port := range rule.Ports {
			if port.Port.IntVal == 8443 && rule.To[0].PodSelector != nil && rule.To[0].PodSelector.MatchLabels["app.kubernetes.io/component"] == "router" {
				return
			}
		}
	}
	t.Error("tenants on other hosts are out of its reach")
}

func TestValuesOfAHostThatCannotBeAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(values map[string]any)
		says   string
	}{
		"a HostCluster of its own":       {func(v map[string]any) { section(v, "hostCluster")["create"] = true }, "hostCluster.create"},
		"where its edge is":              {func(v map[string]any) { section(v, "hostCluster")["edgeAddress"] = "10.0.0.1:443" }, "hostCluster.edgeAddress"},
		"an edge with its own authority": {func(v map[string]any) { delete(v, "edgeCA") }, "edgeCA"},
		"an authority for certificates":  {func(v map[string]any) { v["acme"] = map[string]any{"directory": "https://ca.example/dir"} }, "acme.directory"},
		"an operator's token":            {func(v map[string]any) { v["operatorToken"] = map[string]any{"hash": strings.Repeat("ab", 32)} }, "operatorToken.hash"},
		"no way to the management":       {func(v map[string]any) { delete(section(v, "management"), "egressCIDRs") }, "management.egressCIDRs"},
		"kubeconfigs without a name":     {func(v map[string]any) { section(v, "management")["controllerName"] = "" }, "management"},
		"one kubeconfig of two": {func(v map[string]any) {
			section(v, "management")["kubeconfigs"] = map[string]any{"controller": "x"}
		}, "/management/kubeconfigs"},
		"a name that is none": {func(v map[string]any) { section(v, "management")["controllerName"] = "EU west" }, "/management/controllerName"},
		"an edge without its port": {func(v map[string]any) {
			v["router"] = map[string]any{"peerCIDRs": []any{map[string]any{"cidr": "10.0.0.0/8"}}}
		}, "/router/peerCIDRs/0"},
	} {
		t.Run(name, func(t *testing.T) {
			values := host()
			test.change(values)
			_, err := render(t, values, "berth-system")
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("the error does not name %s: %v", test.says, err)
			}
			if strings.Contains(err.Error(), secretToken) {
				t.Error("the error tells the kubeconfig")
			}
		})
	}
}

func section(values map[string]any, name string) map[string]any {
	inner, _ := values[name].(map[string]any)
	return inner
}

// ways are the addresses that a policy lets out to, as cidr:port.
func ways(policy *networkingv1.NetworkPolicy) map[string]bool {
	found := map[string]bool{}
	for _, rule := range policy.Spec.Egress {
		for _, peer := range rule.To {
			for _, port := range rule.Ports {
				if peer.IPBlock == nil {
					continue
				}
				way := peer.IPBlock.CIDR + ":" + port.Port.String()
				if port.EndPort != nil {
					way += "-" + strconv.Itoa(int(*port.EndPort))
				}
				found[way] = true
			}
		}
	}
	return found
}

func typeName(object metav1.Object) string { return fmt.Sprintf("%T", object) }
