package router

import (
	"testing"

	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

func TestOnlyCertificatesOfServedNamesAreKeptUp(t *testing.T) {
	t.Parallel()
	routes := table.New(table.Config{Domain: tabletest.Domain})
	var sources table.Sources
	tabletest.Add(&sources, "acme", "acmeacme", "web", "web.acme."+tabletest.Domain, "10.0.0.1:80")
	tabletest.Add(&sources, "acme", "acmeacme", "deep", "a.b.acme."+tabletest.Domain, "10.0.0.1:80")
	routes.Replace(sources)
	for name, want := range map[string]bool{
		tabletest.Domain:               true,
		"*." + tabletest.Domain:        true,
		"*.k8s." + tabletest.Domain:    true,
		"edge." + tabletest.Domain:     true,
		"*.acme." + tabletest.Domain:   true,
		"a.b.acme." + tabletest.Domain: true,
		"c.b.acme." + tabletest.Domain: false,
		"*.gone." + tabletest.Domain:   false,
		"shop.example.com":             false,
		"*.example.com":                false,
	} {
		if got := needed(routes, name); got != want {
			t.Errorf("%s is needed: %v", name, got)
		}
	}
	routes.Replace(table.Sources{})
	if needed(routes, "*.acme."+tabletest.Domain) {
		t.Error("a tenant that has gone keeps its certificate")
	}
}
