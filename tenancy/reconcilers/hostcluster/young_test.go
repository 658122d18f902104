package hostcluster

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/leaps/leapstest"
)

func TestAMemberJustCreatedCountsForAMinuteWhateverTheClockIsSetTo(t *testing.T) {
	for name, leap := range map[string]time.Duration{"it is not set": 0, "an hour on": time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			var y young
			y.remember(&v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "aaaaaaa1", CreationTimestamp: metav1.NewTime(now)}}, now)
			for _, look := range []struct {
				after time.Duration
				want  int
			}{{time.Second, 1}, {59 * time.Second, 1}, {61 * time.Second, 0}} {
				if got := y.add(nil, leapstest.Set(now.Add(look.after), leap)); len(got) != look.want {
					t.Errorf("after %s there are %d, want %d", look.after, len(got), look.want)
				}
			}
		})
	}
}
