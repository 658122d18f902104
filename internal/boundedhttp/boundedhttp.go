package boundedhttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"
)

// MaxBody is how many bytes of an answer are read.
const MaxBody = 16 << 20

// ErrTooLarge is the error of an answer that goes on after MaxBody bytes.
var ErrTooLarge = fmt.Errorf("the API server's answer is longer than %d MiB", MaxBody>>20)

// ErrRedirect is the error of an answer that sends the client elsewhere.
var ErrRedirect = errors.New("the API server's answer is a redirect, which is not followed")

// Apply makes clients of config read bounded answers only, logs included. It is for
// those that never watch.
func Apply(config *rest.Config) { wrap(config, false) }

// ApplyToStreaming is Apply for clients that also watch and follow logs: those are read
// piece by piece and go on for as long as the client likes.
func ApplyToStreaming(config *rest.Config) { wrap(config, true) }

func wrap(config *rest.Config, streams bool) {
	config.DisableCompression = true
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &transport{next, streams} })
}

type transport struct {
	next    http.RoundTripper
	streams bool
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Response != nil {
		// Only a redirect makes a request out of an answer.
		return nil, ErrRedirect
	}
	// Transports that are shared ignore DisableCompression. None expands what it was
	// told to ask for.
	request = request.Clone(request.Context())
	request.Header.Set("Accept-Encoding", "identity")
	response, err := t.next.RoundTrip(request)
	if err != nil || response.Body == nil || response.StatusCode == http.StatusSwitchingProtocols {
		return response, err
	}
	if t.streams && isStream(request, response) {
		return response, nil
	}
	response.Body = &body{ReadCloser: response.Body, left: MaxBody}
	return response, nil
}

// WrappedRoundTripper lets client-go find the transport beneath, such as to close its
// idle connections.
func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// isStream tells whether an answer is read piece by piece and has no end of its own. A
// refusal never is: clients read those as a whole, whatever was asked.
func isStream(request *http.Request, response *http.Response) bool {
	if response.StatusCode != http.StatusOK {
		return false
	}
	query := request.URL.Query()
	return query.Get("watch") == "true" || query.Get("follow") == "true" || isPodStream(request.URL.Path)
}

// isPodStream knows /api/v1/namespaces/NAMESPACE/pods/POD/log and its like. The whole
// path counts, because tenants choose names: a Deployment may well be called log.
func isPodStream(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) != 7 || parts[0] != "api" || parts[2] != "namespaces" || parts[4] != "pods" {
		return false
	}
	switch parts[6] {
	case "log", "exec", "attach":
		return true
	}
	return false
}

// body fails once more than left bytes come. It has no other methods than a reader's
// and a closer's, so nothing can read around it.
type body struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // One more, to tell an end from too much.
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, ErrTooLarge
	}
	return n, err
}
