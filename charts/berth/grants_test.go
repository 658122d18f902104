package berth_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// Kubernetes refuses to let anybody grant what he does not hold: without one of these
// verbs no virtual cluster could be installed.
func TestControllerHoldsAllThatVClustersChartGrants(t *testing.T) {
	held := find[*rbacv1.ClusterRole](t, mustObjects(t, minimal()), "berth-controller").Rules
	manifest, err := os.ReadFile("../../tenancy/vcluster/testdata/manifest.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, document := range strings.Split(string(manifest), "\n---\n") {
		var role rbacv1.Role
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		switch role.Kind {
		case "ClusterRole", "ClusterRoleBinding":
			t.Errorf("vCluster's chart makes the %s %s, which the controller may not", role.Kind, role.Name)
		case "Role":
			for _, rule := range role.Rules {
				for _, missing := range notHeld(held, rule) {
					t.Errorf("the controller may not grant %s", missing)
				}
				checked++
			}
		}
	}
	if checked == 0 {
		t.Error("vCluster's chart makes no Role: look where it went")
	}
}

func notHeld(held []rbacv1.PolicyRule, rule rbacv1.PolicyRule) []string {
	var missing []string
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				if !slices.ContainsFunc(held, func(h rbacv1.PolicyRule) bool {
					return slices.Contains(h.APIGroups, group) && slices.Contains(h.Resources, resource) && slices.Contains(h.Verbs, verb)
				}) {
					missing = append(missing, verb+" "+resource+" in group "+group)
				}
			}
		}
	}
	return missing
}
