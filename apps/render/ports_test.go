package render

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// port is an internal port, or one that is reached from outside.
func port(name string, number int32, expose bool) v1alpha1.Port {
	return v1alpha1.Port{Name: name, Port: number, Protocol: v1alpha1.ProtocolHTTP, Expose: expose}
}

func TestOldAndNewProcessesAreReachedUntilAReleaseIsProven(t *testing.T) {
	list := func(ports ...v1alpha1.Port) []v1alpha1.Port { return ports }
	tests := map[string]struct {
		is     []v1alpha1.Port
		beside [][]v1alpha1.Port
		want   []string
	}{
		"alone, ports are reached by name": {
			list(port("http", 80, true), port("admin", 90, false)), nil, []string{"http 80 → http", "admin 90 → admin"},
		},
		"a number that changes leaves the name": {
			list(port("http", 81, true)), [][]v1alpha1.Port{list(port("http", 80, true))}, []string{"http 81 → http"},
		},
		"a name that changes leaves the number": {
			list(port("web", 80, true)), [][]v1alpha1.Port{list(port("http", 80, true))}, []string{"web 80 → 80"},
		},
		"with both changed the old one stays": {
			list(port("web", 81, true)), [][]v1alpha1.Port{list(port("http", 80, true))}, []string{"web 81 → web", "http 80 → http"},
		},
		"an exposed port is not taken for an internal one of its number": {
			list(port("admin", 80, false)), [][]v1alpha1.Port{list(port("http", 80, true))}, []string{"admin 80 → admin", "http 65535 → http"},
		},
		"a port that takes another's number is not that port": {
			list(port("admin", 80, true)),
			[][]v1alpha1.Port{list(port("http", 80, true), port("admin", 90, true))},
			[]string{"admin 80 → admin", "http 65535 → http"},
		},
		"two that swap their numbers go by their names": {
			list(port("http", 90, true), port("admin", 80, true)),
			[][]v1alpha1.Port{list(port("http", 80, true), port("admin", 90, true))},
			[]string{"http 90 → http", "admin 80 → admin"},
		},
		"a renamed port that is tried again is still reached by its number": {
			list(port("web", 80, true)), [][]v1alpha1.Port{list(port("http", 80, true)), list(port("web", 80, true))}, []string{"web 80 → 80"},
		},
		"several old ones that are gone get numbers of their own": {
			list(port("a", 65535, true)),
			[][]v1alpha1.Port{list(port("b", 65535, false)), list(port("c", 65535, false)), list(port("b", 1, false))},
			[]string{"a 65535 → a", "b 65534 → b", "c 65533 → c"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			templates := []*v1alpha1.AppTemplate{{Components: []v1alpha1.Component{{Name: "other", Ports: list(port("x", 1, true))}}}}
			for _, ports := range test.beside {
				templates = append(templates, &v1alpha1.AppTemplate{Components: []v1alpha1.Component{{Name: "ui", Ports: ports}}})
			}
			var got []string
			for _, p := range servicePorts(&v1alpha1.Component{Name: "ui", Ports: test.is}, templates) {
				got = append(got, fmt.Sprintf("%s %d → %s", p.Name, p.Port, p.TargetPort.String()))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
