package main

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"berth": func() {
			os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// Each script runs the real command line against a small portal of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			server := httptest.NewServer(newFakePortal())
			env.Defer(server.Close)
			config := filepath.Join(env.WorkDir, ".config", "berth", "config.json")
			env.Setenv("BERTH_CONFIG", config)
			env.Setenv("KUBECONFIG", filepath.Join(env.WorkDir, "kubeconfig"))
			env.Setenv("PORTAL", server.URL)
			raw := []byte(`{"url":"` + server.URL + `","token":"good","tenant":"acme"}`)
			return writePrivate(config, raw)
		},
	})
}

func TestTheFailureIsToldInPlainWords(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	rel := failedRelease("shop", 3)
	printFailure(out, &rel, 2)
	got, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := "error: v3 failed. web: it ended with exit code 1\n" +
		"\nThe last it wrote:\n  | no such table: carts\n\n" +
		"  fix: Set DATABASE_URL with: berth config:set\n" +
		"  see: berth logs --app shop --component web\n" +
		"v2 keeps serving; all components run it.\n"
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
