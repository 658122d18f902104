package berth_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// minimal is what nobody can choose for a cluster but its operator.
func minimal() map[string]any {
	return map[string]any{"hostCluster": map[string]any{"network": map[string]any{"apiServerCIDRs": []any{"10.88.0.1/32"}}}}
}

// eks is a production installation in a cloud.
func eks() map[string]any {
	return map[string]any{
		"domain": "apps.example.com",
		"images": map[string]any{"registry": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/berth", "tag": "1.2.3", "pullSecrets": []any{"ecr"}},
		"router": map[string]any{
			"replicas": 2,
			"service": map[string]any{
				"type":        "LoadBalancer",
				"annotations": map[string]any{"service.beta.kubernetes.io/aws-load-balancer-type": "external"},
			},
		},
		"operatorToken": map[string]any{"hash": strings.Repeat("ab", 32)},
		"plans":         map[string]any{"small": nil, "huge": map[string]any{"ocus": 1000, "storage": "1Ti"}},
		"hostCluster": map[string]any{
			"name": "eu-1", "region": "eu-central-1", "storageClassName": "gp3", "pool": map[string]any{"size": 5},
			"network": map[string]any{
				"apiServerCIDRs": []any{"10.0.0.0/24", "10.0.1.0/24"}, "apiServerPort": 443,
				"egressCIDRs": []any{"0.0.0.0/0"}, "deniedCIDRs": []any{"10.0.0.0/8", "169.254.0.0/16"},
			},
		},
		"networkPolicy": map[string]any{"metricsFrom": []any{
			map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "monitoring"}}},
		}},
		"nodeSelector": map[string]any{"role": "platform"},
		"tolerations":  []any{map[string]any{"key": "platform", "operator": "Exists"}},
	}
}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := loader.Load(".")
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// render gives the templates as an installation would send them.
func render(t *testing.T, values map[string]any, namespace string) (map[string]string, error) {
	t.Helper()
	options := common.ReleaseOptions{Name: "berth", Namespace: namespace, Revision: 1, IsInstall: true}
	loaded := load(t)
	all, err := util.ToRenderValues(loaded, values, options, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(loaded, all)
}

// objects decodes what was rendered into Kubernetes' own types. A field they do not
// know, or one given twice, is an error.
func objects(t *testing.T, files map[string]string) []metav1.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionv1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
		rbacv1.AddToScheme, schedulingv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var all []metav1.Object
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		documents := yaml.NewDocumentDecoder(io.NopCloser(strings.NewReader(files[name])))
		buffer := make([]byte, 1<<20)
		for {
			n, err := documents.Read(buffer)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if onlyComments(buffer[:n]) {
				continue
			}
			decoded, _, err := decoder.Decode(buffer[:n], nil, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, buffer[:n])
			}
			object, ok := decoded.(metav1.Object)
			if !ok {
				t.Fatalf("%s: %T has no name", name, decoded)
			}
			all = append(all, object)
		}
	}
	return all
}

func onlyComments(document []byte) bool {
	for line := range bytes.Lines(document) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}

func mustObjects(t *testing.T, values map[string]any) []metav1.Object {
	t.Helper()
	files, err := render(t, values, "berth-system")
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, files)
}

// find gives the one object of a type with a name.
func find[T metav1.Object](t *testing.T, all []metav1.Object, name string) T {
	t.Helper()
	for _, object := range all {
		if typed, ok := object.(T); ok && object.GetName() == name {
			return typed
		}
	}
	var none T
	t.Fatalf("no %T named %s", none, name)
	return none
}

var made = regexp.MustCompile(`(?m)^(  (?:tls\.crt|tls\.key|token|hash): ).+$`)

// manifest joins the templates in order, what is random left out.
func manifest(files map[string]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(files[name]) != "" {
			out.WriteString("---\n# Source: " + name + "\n" + strings.TrimSpace(files[name]) + "\n")
		}
	}
	return made.ReplaceAllString(out.String(), "${1}MADE")
}
