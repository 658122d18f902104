package router

import (
	"io"
	"net/http"
)

// boundedBody is a request's body that may not be longer than its app wants. Once it is,
// the exchange knows.
type boundedBody struct {
	io.ReadCloser

	exchange *exchange
	limit    int64
	left     int64
}

// bound limits the request's body, or reports that it is too large already.
func bound(r *http.Request, x *exchange) (tooLarge bool) {
	limit := x.target.MaxBody
	if limit == 0 || r.ContentLength == 0 {
		return false
	}
	if r.ContentLength > limit {
		return true
	}
	r.Body = &boundedBody{ReadCloser: r.Body, exchange: x, limit: limit, left: limit}
	return false
}

// Read reads one byte further than the limit, to see whether there is one.
func (b *boundedBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) <= b.left {
		b.left -= int64(n)
		return n, err
	}
	b.exchange.tooLarge.Store(true)
	n, b.left = int(b.left), 0 // less than was read
	return n, &http.MaxBytesError{Limit: b.limit}
}
