package certificates

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/berth-dev/berth/apps"
)

// maxDetail bounds what an authority may say, in bytes.
const maxDetail = 600

// judge tells an authority that refuses from one that has trouble of its own or is away.
func judge(err error, retryAfter time.Duration) error {
	var problem acme.Problem
	if err == nil || !errors.As(err, &problem) || troubled(problem) {
		return err
	}
	return apps.Refused(detail(problem), retryAfter, err)
}

// troubled tells whether a problem is the authority's own.
func troubled(problem acme.Problem) bool {
	return problem.Status >= http.StatusInternalServerError ||
		problem.Type == acme.ProblemTypeServerInternal || problem.Type == acme.ProblemTypeBadNonce
}

func isProblem(err error, kind string) bool {
	var problem acme.Problem
	return errors.As(err, &problem) && problem.Type == kind
}

// detail is what the authority said, the parts too.
func detail(problem acme.Problem) string {
	said := []string{problem.Detail}
	for _, part := range problem.Subproblems {
		said = append(said, part.Detail)
	}
	said = compact(said)
	if len(said) == 0 {
		said = []string{"it did not say why"}
	}
	text := strings.ToValidUTF8(strings.Join(said, "; "), "?")
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}

func compact(texts []string) []string {
	var kept []string
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			kept = append(kept, text)
		}
	}
	return kept
}

// pauses notes for how long an authority asks to be left alone when it refuses, which the
// client does not tell.
type pauses struct {
	next http.RoundTripper

	mu   sync.Mutex
	last time.Duration
}

// RoundTrip makes a request.
func (p *pauses) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := p.next.RoundTrip(request)
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		p.mu.Lock()
		p.last = retryAfter(response.Header.Get("Retry-After"), time.Now())
		p.mu.Unlock()
	}
	return response, err
}

func (p *pauses) asked() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// maxPause bounds how long an authority is left alone: a week is the longest limit that
// the common ones have.
const maxPause = 7 * 24 * time.Hour

// retryAfter reads the header of that name, seconds or a date; zero if there is none.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return min(max(0, time.Duration(min(seconds, int(maxPause/time.Second)))*time.Second), maxPause)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), maxPause)
}
