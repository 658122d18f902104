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

// Apply makes clients of config read bounded answers only.
func Apply(config *rest.Config) {
	// Without it the transport would ask for gzip and expand what comes.
	config.DisableCompression = true
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &transport{next: next} })
}

type transport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Response != nil {
		// Only a redirect makes a request out of an answer.
		return nil, ErrRedirect
	}
	response, err := t.next.RoundTrip(request)
	if err != nil || response.Body == nil || isStream(request, response) {
		return response, err
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
	switch response.StatusCode {
	case http.StatusSwitchingProtocols:
		return true
	case http.StatusOK:
	default:
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
