package certificates

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/berth-dev/berth/apps"
)

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		err     error
		refused string // empty: it is no refusal
	}{
		"a problem is a refusal in its own words": {
			fmt.Errorf("ordering: %w", acme.Problem{Status: 403, Type: acme.ProblemTypeUnauthorized, Detail: "no such host"}), "no such host",
		},
		"the parts of a problem are told": {
			acme.Problem{Status: 400, Detail: "several", Subproblems: []acme.Subproblem{{Problem: acme.Problem{Detail: "one"}}}}, "several; one",
		},
		"too many orders are a refusal":           {acme.Problem{Status: 429, Type: acme.ProblemTypeRateLimited, Detail: "slow down"}, "slow down"},
		"a problem without words says so":         {acme.Problem{Status: 403}, "it did not say why"},
		"a failed proof without a status is one":  {fmt.Errorf("authorization failed: %w", acme.Problem{Detail: "404"}), "404"},
		"trouble of the authority's own is none":  {acme.Problem{Status: 503, Detail: "busy"}, ""},
		"an internal error of the authority none": {acme.Problem{Status: 400, Type: acme.ProblemTypeServerInternal}, ""},
		"a connection that breaks is none":        {io.ErrUnexpectedEOF, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := judge(test.err, time.Hour)
			refused, is := apps.AsRefused(got)
			if is != (test.refused != "") || is && (refused.Detail != test.refused || refused.RetryAfter != time.Hour) {
				t.Errorf("got %#v", got)
			}
			if is && !isProblem(got, kindOf(test.err)) {
				t.Error("the cause is lost")
			}
		})
	}
	if judge(nil, time.Hour) != nil {
		t.Error("success was refused")
	}
}

func kindOf(err error) string {
	var problem acme.Problem
	errors.As(err, &problem)
	return problem.Type
}

func TestWhatAnAuthoritySaysIsCutShort(t *testing.T) {
	got := detail(acme.Problem{Detail: strings.Repeat("ä", 2000)})
	if len(got) > maxDetail+len("…") || strings.ToValidUTF8(got, "") != got {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "": 0, "-5": 0, "soon": 0, "99999999999": 7 * 24 * time.Hour,
		"Tue, 01 Jan 2030 13:00:00 GMT": time.Hour, "Tue, 01 Jan 2030 11:00:00 GMT": 0,
		"Sun, 01 Dec 2030 11:00:00 GMT": 7 * 24 * time.Hour,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}
