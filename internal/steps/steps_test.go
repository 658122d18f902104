package steps_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/berth-dev/berth/internal/steps"
)

func TestJudge(t *testing.T) {
	wait := steps.Wait("Queued", "no cluster is ready yet", 5*time.Second)
	stall := steps.Stall("PlanNotFound", errors.New("no plan gold"))
	tests := map[string]struct {
		err  error
		want steps.Result
	}{
		"nothing to do after success": {nil, steps.Result{}},
		"a plain error is tried again": {
			io.EOF, steps.Result{Err: io.EOF},
		},
		"a wait looks again later": {
			wait, steps.Result{Reason: "Queued", Message: "no cluster is ready yet", RequeueAfter: 5 * time.Second},
		},
		"a wrapped wait is a wait": {
			fmt.Errorf("claiming: %w", wait),
			steps.Result{Reason: "Queued", Message: "no cluster is ready yet", RequeueAfter: 5 * time.Second},
		},
		"a stall is not tried again": {
			stall, steps.Result{Reason: "PlanNotFound", Message: "no plan gold", Stalled: true},
		},
		"of joined waits the soonest counts": {
			errors.Join(wait, steps.Wait("Soon", "soon", time.Second)),
			steps.Result{Reason: "Soon", Message: "soon", RequeueAfter: time.Second},
		},
		"a stall tells more than a wait beside it": {
			errors.Join(stall, wait),
			steps.Result{Reason: "PlanNotFound", Message: "no plan gold", Stalled: true, RequeueAfter: 5 * time.Second},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := steps.Judge(test.err)
			if diff := cmp.Diff(test.want, got, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("unlike what was wanted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeTriesAgainWhenAnyJoinedErrorIsPlain(t *testing.T) {
	joined := errors.Join(steps.Wait("Queued", "queued", time.Minute), io.EOF)
	got := steps.Judge(joined)
	if !errors.Is(got.Err, io.EOF) || got.RequeueAfter != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestStallOfNothingIsNothing(t *testing.T) {
	if err := steps.Stall("Any", nil); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestStallKeepsItsCause(t *testing.T) {
	if err := steps.Stall("Any", io.EOF); !errors.Is(err, io.EOF) {
		t.Errorf("errors.Is does not find the cause of %v", err)
	}
}
