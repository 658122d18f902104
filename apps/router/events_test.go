package router

import (
	"io"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// pieces is a body whose reads are these.
type pieces []string

func (p *pieces) Read(to []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(to, (*p)[0])
	*p = (*p)[1:]
	return n, nil
}

func TestEventsThatEndWithinAPieceEndThere(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"LF": "\n\n", "CRLF": "\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "open"}, []string{"kind"})
			body := newEvents(io.NopCloser(&pieces{"data: a", end + "data: b" + end + "data: c", end + "data: d"}), newStreams(gauge))
			first := make([]byte, 100)
			n, err := body.Read(first)
			if err != nil {
				t.Fatal(err)
			}
			body.leave()
			rest, err := io.ReadAll(body)
			if got, want := string(first[:n])+string(rest), "data: a"+end+"data: b"+end; err != nil || got != want {
				t.Errorf("sent %q, %v, want %q", got, err, want)
			}
		})
	}
}
