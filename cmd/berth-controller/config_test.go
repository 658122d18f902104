package main

import (
	"io"
	"strings"
	"testing"
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
		"domain":               {"--domain=localhost"},
		"edge-port":            {"--edge-port=70000"},
		"vcluster-chart":       {"--vcluster-chart=/does/not/exist"},
		"vcluster-image":       {"--vcluster-image=ghcr.io/loft-sh/vcluster-pro:0.36.1"},
		"log-level":            {"--log-level=loud"},
		"namespace":            {"--namespace="},
		"domain-resolver":      {"--domain-resolver=10.0.0.2"},
		"domain-private-cidrs": {"--domain-private-cidrs=10.0.0.0/16,ten"},
		"acme-directory":       {"--acme-directory=http://acme.example/dir"},
		"acme-email":           {"--acme-email=ops"},
		"acme-roots":           {"--acme-roots=/does/not/exist"},
		"acme-dns-provider":    {"--acme-dns-provider=route53"},
		"acme-dns-propagation": {"--acme-dns-propagation=600"},
		"more":                 {"more"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(append([]string{"--vcluster-chart=" + t.TempDir()}, args...), io.Discard)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want one that names %s", err, name)
			}
		})
	}
}
