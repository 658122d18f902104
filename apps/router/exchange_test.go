package router

import (
	"testing"

	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

// The table may change between two attempts. A client's request then follows, one of
// another edge's does not.
func TestWhatMovesBetweenTwoAttemptsIsNotSentASecondHop(t *testing.T) {
	t.Parallel()
	const host, own, edge = "web.acme." + tabletest.Domain, "10.0.0.1:80", "192.0.2.1:443"
	for peer, want := range map[bool]string{false: edge, true: own} {
		routes := table.New(table.Config{Domain: tabletest.Domain})
		var sources table.Sources
		tabletest.Add(&sources, "acme", "acmeacme", "web", host, own)
		routes.Replace(sources)
		x := &exchange{peer: peer, host: host}
		x.target, _ = routes.Lookup(host)
		if got := x.next(routes); got == nil || got.Address != own {
			t.Fatalf("at first %v is asked", got)
		}
		tabletest.Move(&sources, "acmeacme", edge)
		routes.Replace(sources)
		if got := x.next(routes); got == nil || got.Address != want || x.target.Elsewhere != (want == edge) {
			t.Errorf("of another edge: %v; then %v is asked", peer, got)
		}
	}
}
