package stage

import (
	"fmt"
	"net/http"
	"regexp"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// border is what may be asked of one of the clusters that the one API server stands for.
type border struct {
	name string
	// paths are those that lie within.
	paths *regexp.Regexp
	// reads says that nothing may be written there.
	reads bool
}

// Of the host cluster processes and volumes are read; the records of apps and the values of
// their secrets are on the management cluster; what runs is in the tenant's.
var (
	ofTheManagement = border{name: "the management cluster", paths: recorded}
	reading         = border{name: "the management cluster, as an onlooker", paths: recorded, reads: true}
	ofTheHost       = border{
		name: "the host cluster", paths: regexp.MustCompile(`^/api/v1/namespaces/vc-[a-z0-9]+/(pods|persistentvolumeclaims)$`), reads: true,
	}
	ofTheTenants = border{
		name: "the tenant's cluster", paths: regexp.MustCompile(`^/api/v1/namespaces$|^/(api/v1|apis/apps/v1|apis/batch/v1)/namespaces/a[0-9a-f]{7}x?(/|$)`),
	}
	nothing  = border{name: "no cluster of this controller", paths: regexp.MustCompile(`^$`)}
	anything = border{name: "the test", paths: regexp.MustCompile(``)}

	recorded = regexp.MustCompile(`^/apis/berth\.dev/v1alpha1/|^/api/v1/namespaces/tenant-[a-z0-9]+/secrets(/|$)`)
)

// through gives a client that fails the test when it is used for another cluster than the
// one that is meant.
func (s *Stage) through(border border) client.WithWatch {
	s.tb.Helper()
	c, err := client.NewWithWatch(s.config(border), client.Options{Scheme: s.Env.Scheme, Mapper: s.Env.Client.RESTMapper()})
	s.must(err)
	return c
}

func (s *Stage) config(border border) *rest.Config {
	config := rest.CopyConfig(s.Env.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if border.paths.MatchString(request.URL.Path) && (!border.reads || request.Method == http.MethodGet) {
				return next.RoundTrip(request)
			}
			err := fmt.Errorf("%s was asked to %s %s", border.name, request.Method, request.URL.Path)
			s.tb.Error(err)
			return nil, err
		})
	})
	return config
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
