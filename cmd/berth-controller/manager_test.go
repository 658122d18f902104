package main

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy/vcluster"
)

// chart is vCluster's chart as the image carries it.
func chart(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/loft-sh/vcluster").Output()
	if err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "vcluster")
	if err := os.CopyFS(packed, os.DirFS(filepath.Join(strings.TrimSpace(string(out)), "chart"))); err != nil {
		t.Fatal(err)
	}
	metadata := filepath.Join(packed, "Chart.yaml")
	raw, err := os.ReadFile(metadata)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(metadata); err != nil {
		t.Fatal(err)
	}
	raw = []byte(strings.Replace(string(raw), "version: 0.0.1", "version: "+vcluster.ChartVersion, 1))
	if err := os.WriteFile(metadata, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestEveryReconcilerStartsAndStops(t *testing.T) {
	env := kubetest.Start(t)
	c, err := parse([]string{
		"--vcluster-chart=" + chart(t), "--namespace=" + env.Namespace(t), "--metrics-address=0", "--health-address=0",
		"--acme-directory=https://acme.example/directory", "--acme-dns-provider=route53",
	}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	mgr, err := newManager(c, env.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := register(mgr, mgr, c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	select {
	case <-mgr.Elected():
	case err := <-done:
		t.Fatalf("it ended before it held the lease: %v", err)
	}
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Error("the caches were not filled")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
