package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/internal/localcluster"
)

func TestUpLeavesALoginToAnotherBerthAlone(t *testing.T) {
	own := userConfigFile{URL: "https://api.berth.localhost:8443", Token: "new", CAFile: "/var/lib/berth/berth/edge-ca.crt"}
	elsewhere := userConfigFile{URL: "https://api.example.com", Token: "theirs", Tenant: "acme"}
	tests := map[string]struct {
		before *userConfigFile
		want   userConfigFile
		kept   bool
	}{
		"no login":                   {nil, own, false},
		"a login to another Berth":   {&elsewhere, elsewhere, true},
		"a login to this instance":   {&userConfigFile{URL: own.URL, Token: "old", Tenant: "acme"}, userConfigFile{own.URL, "new", own.CAFile, "acme"}, false},
		"this instance's other port": {&userConfigFile{URL: "https://api.berth.localhost:9443", CAFile: own.CAFile}, own, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "user", "config.json")
			t.Setenv("BERTH_CONFIG", path)
			if test.before != nil {
				if _, err := test.before.save(); err != nil {
					t.Fatal(err)
				}
			}
			instance := &localcluster.Instance{Name: "berth", Dir: dir}
			raw, err := json.Marshal(own)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(instance.CLIConfig(), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := userConfig(instance)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]string{true: instance.CLIConfig(), false: path}[test.kept]; got != want {
				t.Errorf("commands are told to use %s, want %s", got, want)
			}
			after, err := loadConfig()
			if diff := cmp.Diff(test.want, after); diff != "" || err != nil {
				t.Errorf("the login (-want +got):\n%s%v", diff, err)
			}
		})
	}
}
