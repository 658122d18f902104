package mortal_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/internal/kubetest/mortal"
)

func TestWhatEachFaultDoesToACall(t *testing.T) {
	// Each life reads, writes, reads and writes; the letters are the calls that were carried
	// out.
	for name, test := range map[string]struct {
		life     *mortal.Life
		want     string
		struck   bool
		isOver   bool
		answered []bool
	}{
		"killed after the first write":  {mortal.New(mortal.Killed, 1), "RW", true, true, []bool{true, false, false, false}},
		"killed after the second write": {mortal.New(mortal.Killed, 2), "RWRW", true, true, []bool{true, true, true, false}},
		"the first answer is lost":      {mortal.New(mortal.Lost, 1), "RWRW", true, false, []bool{true, false, true, true}},
		"the second call fails":         {mortal.New(mortal.Failed, 2), "RRW", true, false, []bool{true, false, true, true}},
		"the third call fails":          {mortal.New(mortal.Failed, 3), "RWW", true, false, []bool{true, true, false, true}},
		"the fault comes too late":      {mortal.New(mortal.Killed, 3), "RWRW", false, false, []bool{true, true, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			done := ""
			var answered []bool
			call := func(through func(func() error) error, letter string) {
				err := through(func() error { done += letter; return nil })
				if err != nil && !errors.Is(err, mortal.ErrFault) {
					t.Fatal(err)
				}
				answered = append(answered, err == nil)
			}
			for range 2 {
				call(test.life.Read, "R")
				call(test.life.Write, "W")
			}
			if done != test.want || test.life.Struck() != test.struck || test.life.Over() != test.isOver {
				t.Errorf("carried out %s, struck %t, over %t", done, test.life.Struck(), test.life.Over())
			}
			if diff := cmp.Diff(test.answered, answered); diff != "" {
				t.Errorf("answered (-want +got):\n%s", diff)
			}
		})
	}
}
