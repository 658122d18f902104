package apiclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"time"
)

// retryFor is how long a request is tried again while the edge starts anew.
const retryFor = 15 * time.Second

// retrier tries a request again when the connection was cut before anything of the
// request was written, as it is while the edge is away for a moment. Such a request did
// nothing, whatever its method. A refused connection is not tried again: nothing listens.
type retrier struct{ next http.RoundTripper }

func (r retrier) RoundTrip(request *http.Request) (*http.Response, error) {
	deadline := time.Now().Add(retryFor)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		var wrote atomic.Bool
		trace := &httptrace.ClientTrace{WroteHeaderField: func(string, []string) { wrote.Store(true) }}
		response, err := r.next.RoundTrip(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
		cut := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
		if !cut || wrote.Load() || time.Now().After(deadline) || !rewind(request) {
			return response, err
		}
		if !sleep(request.Context(), wait) {
			return nil, err
		}
	}
}

// rewind makes the body readable from its beginning again.
func rewind(request *http.Request) bool {
	if request.Body == nil || request.Body == http.NoBody {
		return true
	}
	if request.GetBody == nil {
		return false
	}
	body, err := request.GetBody()
	if err != nil {
		return false
	}
	request.Body = body
	return true
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
