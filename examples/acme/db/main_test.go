package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tools are stand-ins for initdb and postgres that leave what the real ones leave.
func tools(t *testing.T, initdb string) config {
	t.Helper()
	c := config{volume: t.TempDir(), bin: t.TempDir(), user: "shop", database: "shop", password: "secret"}
	for name, script := range map[string]string{
		"initdb":   "#!/bin/sh\nset -e\nmkdir -p \"$2\"\necho 15 >\"$2/PG_VERSION\"\ncp \"$6\" \"$2/password\"\ntouch \"$2/pg_hba.conf\"\n" + initdb,
		"postgres": "#!/bin/sh\ncat >\"$3/statement\"\n",
	} {
		if err := os.WriteFile(filepath.Join(c.bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestInitialize(t *testing.T) {
	t.Run("the first start makes the database, with the password and open to the network", func(t *testing.T) {
		c := tools(t, "")
		if err := initialize(c); err != nil {
			t.Fatal(err)
		}
		for file, holds := range map[string]string{"password": "secret", "statement": `CREATE DATABASE "shop"`, "pg_hba.conf": "host all all all scram-sha-256"} {
			content, err := os.ReadFile(filepath.Join(c.data(), file))
			if err != nil || !strings.Contains(string(content), holds) {
				t.Errorf("%s: %q, %v", file, content, err)
			}
		}
		if _, err := os.Stat(filepath.Join(c.volume, ".password")); !os.IsNotExist(err) {
			t.Errorf("the password stays behind: %v", err)
		}
	})
	t.Run("a database that is there is left alone", func(t *testing.T) {
		c := tools(t, "exit 1\n")
		if err := os.MkdirAll(c.data(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.data(), "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := initialize(c); err != nil {
			t.Error(err)
		}
	})
	t.Run("a making that broke off leaves no database, and the next start makes it", func(t *testing.T) {
		c := tools(t, "exit 1\n")
		if err := initialize(c); err == nil {
			t.Fatal("no error")
		}
		if _, err := os.Stat(c.data()); !os.IsNotExist(err) {
			t.Fatalf("half a database is there: %v", err)
		}
		whole := tools(t, "")
		whole.volume = c.volume
		if err := initialize(whole); err != nil {
			t.Error(err)
		}
	})
}

func TestFromEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		fine bool
	}{
		"a password is enough":                 {map[string]string{"POSTGRES_PASSWORD": "x"}, true},
		"without a password it refuses":        {nil, false},
		"a name with a quote is refused":       {map[string]string{"POSTGRES_PASSWORD": "x", "POSTGRES_DB": `a"b`}, false},
		"another name of the database is fine": {map[string]string{"POSTGRES_PASSWORD": "x", "POSTGRES_DB": "other"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := fromEnvironment(func(key string) string { return test.env[key] }); (err == nil) != test.fine {
				t.Errorf("got %v", err)
			}
		})
	}
}
