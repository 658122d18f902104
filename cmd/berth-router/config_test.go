package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a folder with the two files the router needs.
func authority(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestFlagsComeBeforeTheEnvironment(t *testing.T) {
	t.Parallel()
	env := environment(map[string]string{
		"BERTH_CA_DIR": authority(t), "BERTH_DOMAIN": "env.example", "BERTH_DRAIN_TIMEOUT": "7s", "BERTH_PUBLIC_HTTPS_PORT": "443",
	})
	c, err := parseConfig([]string{"--domain=flag.example", "--api-upstream=http://portal.svc:8080"}, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.domain != "flag.example" || c.drainTimeout != 7*time.Second || c.publicHTTPSPort != 443 {
		t.Errorf("got %+v", c)
	}
	if got := c.platform(); got != "portal.svc:8080" {
		t.Errorf("the portal is at %q", got)
	}
	edge := c.router(nil)
	if edge.HTTPSAddress != ":8443" || edge.TenantServerName != "kubernetes.default.svc" || edge.StorageDir != "/data" {
		t.Errorf("the edge gets %+v", edge)
	}
}

func TestBadConfigurationNamesTheOption(t *testing.T) {
	t.Parallel()
	for option, args := range map[string][]string{
		"https-address":         {"--https-address=8443"},
		"http-address":          {"--http-address="},
		"metrics-address":       {"--metrics-address=:http://"},
		"health-address":        {"--health-address=:99999"},
		"access-address":        {"--access-address=9091"},
		"proxy-protocol-cidrs":  {"--proxy-protocol-cidrs=10.0.0.0/8,10.0.0.1"},
		"public-https-port":     {"--public-https-port=0"},
		"domain":                {"--domain=Berth.example"},
		"api-upstream":          {"--api-upstream=portal"},
		"ca-dir":                {"--ca-dir=/nowhere"},
		"storage-dir":           {"--storage-dir="},
		"drain-timeout":         {"--drain-timeout=0s"},
		"log-level":             {"--log-level=loud"},
		"management-kubeconfig": {"--controller-name=eu"},
		"controller-name":       {"--management-kubeconfig=/etc/berth/management/router"},
		"api-upstream: the portal": {
			"--controller-name=eu", "--management-kubeconfig=/etc/berth/management/router", "--api-upstream=portal:80",
		},
		"surplus":                 {"surplus"},
		"BERTH_PUBLIC_HTTPS_PORT": nil,
	} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			values := map[string]string{"BERTH_CA_DIR": authority(t)}
			if args == nil {
				values[option] = "many"
			}
			_, err := parseConfig(args, environment(values), io.Discard)
			if err == nil || !strings.Contains(err.Error(), option) {
				t.Errorf("got %v, which does not name %s", err, option)
			}
		})
	}
}
