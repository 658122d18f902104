package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

func TestFlagsComeBeforeTheEnvironmentAndThatBeforeTheDefault(t *testing.T) {
	t.Setenv("BERTH_DOMAIN", "env.example.com")
	t.Setenv("BERTH_EDGE_PORT", "8443")
	c, err := parse([]string{"--domain=flag.example.com", "--vcluster-chart=" + t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.domain != "flag.example.com" || c.edgePort != 8443 || c.namespace != "berth-system" || !c.leaderElect {
		t.Errorf("got %+v", c)
	}
}

func TestAWrongSettingIsRefusedByName(t *testing.T) {
	for name, args := range map[string][]string{
		"domain":                {"--domain=localhost"},
		"edge-port":             {"--edge-port=70000"},
		"vcluster-chart":        {"--vcluster-chart=/does/not/exist"},
		"vcluster-image":        {"--vcluster-image=ghcr.io/loft-sh/vcluster-pro:0.36.1"},
		"log-level":             {"--log-level=loud"},
		"namespace":             {"--namespace="},
		"domain-resolver":       {"--domain-resolver=10.0.0.2"},
		"domain-private-cidrs":  {"--domain-private-cidrs=10.0.0.0/16,ten"},
		"acme-directory":        {"--acme-directory=http://acme.example/dir"},
		"acme-email":            {"--acme-email=ops"},
		"acme-roots":            {"--acme-roots=/does/not/exist"},
		"acme-dns-provider":     {"--acme-dns-provider=route53"},
		"acme-dns-propagation":  {"--acme-dns-propagation=600"},
		"more":                  {"more"},
		"controller-name":       {"--management-kubeconfig=/etc/berth/management"},
		"1 to 40 lower-case":    {"--management-kubeconfig=/etc/berth/management", "--controller-name=EU"},
		"name of a host":        {"--management-kubeconfig=/etc/berth/management", "--controller-name=" + strings.Repeat("e", 41)},
		"management-kubeconfig": {"--controller-name=eu"},
		"end in -router":        {"--management-kubeconfig=/etc/berth/management", "--controller-name=eu-router"},
		"leader-elect":          {"--controller-name=eu", "--management-kubeconfig=/etc/berth/management", "--leader-elect=false"},
		"orders certificates": {
			"--controller-name=eu", "--management-kubeconfig=/etc/berth/management", "--acme-directory=https://acme.example/directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(append([]string{"--vcluster-chart=" + t.TempDir()}, args...), io.Discard)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want one that names %s", err, name)
			}
		})
	}
}

func TestTheManagementClusterIsTheOwnUnlessAKubeconfigIsGiven(t *testing.T) {
	host := &rest.Config{Host: "https://host.example"}
	if got, err := (&managementConfig{}).config(host); err != nil || got != host {
		t.Errorf("got %v (%v), want the host's", got, err)
	}
	path := kubeconfig(t, &rest.Config{Host: "https://management.example"})
	got, err := (&managementConfig{name: "eu", kubeconfig: path}).config(host)
	if err != nil || got.Host != "https://management.example" {
		t.Errorf("got %v (%v), want the file's", got, err)
	}
}

func TestAKubeconfigThatIsWrongIsNamedAndNotTold(t *testing.T) {
	const token = "s3cr3t-token"
	for name, text := range map[string]string{
		"is no YAML":            token + ": [",
		"is of another form":    "users: " + token,
		"has no context":        "apiVersion: v1\nkind: Config\nusers: [{name: u, user: {token: " + token + "}}]",
		"has a wrong server":    "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: " + token + "://[}}]\ncontexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x",
		"has a wrong authority": "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {certificate-authority-data: " + token + "}}]",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := (&managementConfig{name: "eu", kubeconfig: path}).config(&rest.Config{})
			if err == nil || !strings.Contains(err.Error(), "management-kubeconfig") || strings.Contains(err.Error(), token) {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := (&managementConfig{name: "eu", kubeconfig: "/does/not/exist"}).config(&rest.Config{}); err == nil ||
		!strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("error %v, want one that names the file", err)
	}
}
