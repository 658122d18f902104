package hostcluster

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func TestAHostThatIsGoneIsNotMeasured(t *testing.T) {
	for _, name := range []string{"stays", "goes"} {
		host := &v1alpha1.HostCluster{}
		host.Name = name
		gauge(host)
	}
	t.Cleanup(func() { ungauge("stays") })
	before := testutil.CollectAndCount(up)
	ungauge("goes")
	if got := testutil.CollectAndCount(up); got != before-1 {
		t.Errorf("%d hosts are measured, want %d", got, before-1)
	}
	if got := testutil.CollectAndCount(members) + testutil.CollectAndCount(ocus); got != 5*(before-1) {
		t.Errorf("%d measures are left of %d hosts", got, before-1)
	}
}
