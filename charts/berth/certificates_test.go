package berth_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

const rootText = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

// withAuthority is an installation that gets certificates from an authority of its own.
func withAuthority() map[string]any {
	values := minimal()
	values["controller"] = map[string]any{"serviceAccountAnnotations": map[string]any{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/dns"}}
	values["acme"] = map[string]any{
		"directory": "https://ca.example:9000/acme/directory", "email": "ops@example.com", "roots": rootText,
		"dns": map[string]any{"provider": "route53", "region": "eu-central-1", "hostedZoneID": "Z0123456789ABC", "propagationSeconds": 30},
	}
	return values
}

func TestWithoutAnAuthorityNothingIsAskedOfOne(t *testing.T) {
	all := mustObjects(t, minimal())
	find[*corev1.Namespace](t, all, v1alpha1.CertificateNamespace)
	for _, arg := range find[*appsv1.Deployment](t, all, "berth").Spec.Template.Spec.Containers[0].Args {
		if strings.HasPrefix(arg, "--acme") {
			t.Errorf("the controller gets %s", arg)
		}
	}
}

func TestTheAuthorityReachesTheControllerAndTheControllerTheAuthority(t *testing.T) {
	all := mustObjects(t, withAuthority())
	pod := find[*appsv1.Deployment](t, all, "berth").Spec.Template
	for _, want := range []string{
		"--acme-directory=https://ca.example:9000/acme/directory", "--acme-email=ops@example.com", "--acme-roots=/etc/berth/acme/roots.pem",
		"--acme-dns-provider=route53", "--acme-dns-region=eu-central-1", "--acme-dns-zone=Z0123456789ABC", "--acme-dns-propagation=30",
	} {
		if !slices.Contains(pod.Spec.Containers[0].Args, want) {
			t.Errorf("the controller does not get %s", want)
		}
	}
	if text := find[*corev1.ConfigMap](t, all, "berth-acme-roots").Data["roots.pem"]; text != rootText {
		t.Errorf("the roots are %q", text)
	}
	if secret := find[*corev1.Secret](t, all, "acme-account"); len(secret.Data)+len(secret.StringData) > 0 {
		t.Error("an upgrade would take the account's keys away")
	}
	for _, mount := range pod.Spec.Containers[1].VolumeMounts {
		if mount.Name == "acme-roots" {
			t.Error("the portal mounts the roots")
		}
	}
	account := find[*corev1.ServiceAccount](t, all, "berth-controller")
	if account.Annotations["eks.amazonaws.com/role-arn"] == "" || pod.Annotations["eks.amazonaws.com/skip-containers"] != "portal" {
		t.Errorf("the account has %v, the pod %v", account.Annotations, pod.Annotations)
	}
	if other := find[*corev1.ServiceAccount](t, all, "berth-router"); len(other.Annotations) > 0 {
		t.Errorf("the router's account has %v", other.Annotations)
	}
	open := map[int32]bool{}
	for _, rule := range find[*networkingv1.NetworkPolicy](t, all, "berth-platform").Spec.Egress {
		for _, port := range rule.Ports {
			open[port.Port.IntVal] = true
		}
	}
	if !open[9000] || !open[443] {
		t.Errorf("the controller reaches %v", open)
	}
}

func TestAnAuthorityThatCannotBeIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		key  string
		bad  any
		says string
	}{
		"over plain HTTP":     {"directory", "http://ca.example/dir", "/acme/directory"},
		"roots that are none": {"roots", "hello", "/acme/roots"},
		"an unknown provider": {"dns", map[string]any{"provider": "other"}, "/acme/dns/provider"},
	} {
		t.Run(name, func(t *testing.T) {
			values := minimal()
			values["acme"] = map[string]any{test.key: test.bad}
			if _, err := render(t, values, "berth-system"); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error does not name %s: %v", test.says, err)
			}
		})
	}
}
