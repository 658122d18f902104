package router_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// forged is an address that only a request nobody but the attacker wrote would carry: the
// edge writes its own over it.
const forged = "6.6.6.6"

// witness is an app that remembers what it was asked.
type witness struct {
	mu   sync.Mutex
	seen []string
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	line := r.Method + " " + r.RequestURI + " " + string(body)
	if err != nil {
		line += " (broken off)"
	}
	if got := r.Header.Values("X-Forwarded-For"); len(got) != 1 || got[0] == forged || r.Host != shop {
		line += fmt.Sprint(" FORGED ", got, r.Host)
	}
	w.seen = append(w.seen, line)
	_, _ = io.WriteString(rw, "ok")
}

func (w *witness) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// statuses are those of all answers until the connection ends, which it must.
func statuses(t *testing.T, conn net.Conn, requests string) (all []int) {
	t.Helper()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err := io.WriteString(conn, requests)
	must(t, err)
	for answers := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(answers, nil)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %v the connection goes on, and what follows is read", all)
		}
		if err != nil {
			return all
		}
		all = append(all, res.StatusCode)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

const (
	smuggled = "GET /smuggled HTTP/1.1\r\nHost: " + shop + "\r\nX-Forwarded-For: " + forged + "\r\n\r\n"
	toShop   = "Host: " + shop + "\r\n"
	last     = "Connection: close\r\n"
	inChunks = "Transfer-Encoding: chunked\r\n"
	// end is that of a body in chunks.
	end = "0\r\n\r\n"
)

func post(headers, body string) string {
	return "POST / HTTP/1.1\r\n" + toShop + headers + "\r\n" + body
}

func TestSmugglingPairs(t *testing.T) {
	beyond := fmt.Sprintf("Content-Length: %d\r\n", len(end+smuggled))
	for name, test := range map[string]struct {
		bytes string
		// want is what the app may see; a second request of the client's own is one that
		// nobody on the way can take for anything else.
		want []string
	}{
		"a length beyond the chunks":       {post(beyond+inChunks, end+smuggled), []string{"POST / "}},
		"a length after the chunks' name":  {post(inChunks+beyond, end+smuggled), []string{"POST / "}},
		"a length within the chunks":       {post("Content-Length: 4\r\n"+inChunks, fmt.Sprintf("%x\r\n%s\r\n", len(smuggled), smuggled)+end+smuggled), []string{"POST / " + smuggled}},
		"chunks alone":                     {post(inChunks, end+smuggled), []string{"POST / "}},
		"chunks named on a second line":    {post("Transfer-Encoding:\r\n chunked\r\n"+beyond, end+smuggled), []string{"POST / "}},
		"chunks on a connection to keep":   {post("Connection: keep-alive\r\n"+beyond+inChunks, end+smuggled), []string{"POST / "}},
		"chunks that the client disowns":   {post("Connection: Transfer-Encoding\r\n"+beyond+inChunks, end+smuggled), []string{"POST / "}},
		"chunks in HTTP/1.0":               {"POST / HTTP/1.0\r\nConnection: keep-alive\r\n" + toShop + inChunks + "\r\n" + smuggled, []string{"POST / "}},
		"a length beside them in HTTP/1.0": {"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n" + toShop + inChunks + "\r\n" + end + smuggled, []string{"POST / " + end}},
		"chunks for the server itself":     {"OPTIONS * HTTP/1.1\r\n" + toShop + beyond + inChunks + "\r\n" + end + smuggled, []string{"OPTIONS * "}},
		"chunks after no method":           {strings.Repeat("A", 33) + " / HTTP/1.1\r\n" + toShop + beyond + inChunks + "\r\n" + end + smuggled, nil},
		"chunks for nobody":                {"POST / HTTP/1.1\r\nHost: nobody.example\r\n" + beyond + inChunks + "\r\n" + end + smuggled, nil},
		"a length, and a next request": {
			post("Content-Length: 5\r\n", "12345") + "GET /next HTTP/1.1\r\n" + toShop + last + "\r\n", []string{"POST / 12345", "GET /next "},
		},
		"two lengths":                      {post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345"+smuggled), nil},
		"two lengths in one":               {post("Content-Length: 5, 6\r\n", "12345"+smuggled), nil},
		"a length with a sign":             {post("Content-Length: +5\r\n", "12345"+smuggled), nil},
		"a length in hexadecimal":          {post("Content-Length: 0x5\r\n", "12345"+smuggled), nil},
		"an unknown encoding":              {post("Transfer-Encoding: xchunked\r\n", end+smuggled), nil},
		"chunks within another encoding":   {post("Transfer-Encoding: chunked, identity\r\n", end+smuggled), nil},
		"two encodings":                    {post(inChunks+"Transfer-Encoding: identity\r\n", end+smuggled), nil},
		"chunks twice":                     {post(inChunks+inChunks, end+smuggled), nil},
		"a blank before the colon":         {post("Transfer-Encoding : chunked\r\n", end+smuggled), nil},
		"a vertical tab before the value":  {post("Transfer-Encoding: \x0bchunked\r\n", end+smuggled), nil},
		"a zero byte in a value":           {post("X-A: a\x00b\r\nContent-Length: 0\r\n", smuggled), nil},
		"a zero byte in the path":          {"GET /\x00 HTTP/1.1\r\n" + toShop + "\r\n" + smuggled, nil},
		"a carriage return within a value": {post("X-A: a\rX-Forwarded-For: "+forged+"\r\nContent-Length: 0\r\n", smuggled), nil},
		"bare line feeds": {
			"POST / HTTP/1.1\nHost: " + shop + "\nContent-Length: 5\nConnection: close\n\n12345", []string{"POST / 12345"},
		},
		"an underscore for a hyphen": {
			post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n"+last, end), []string{"POST / " + end},
		},
		"headers that the client calls its connection's": {
			post("Connection: close, X-Forwarded-For, Content-Length\r\nX-Forwarded-For: "+forged+"\r\nContent-Length: 5\r\n", "12345"),
			[]string{"POST / 12345"},
		},
		"two hosts":                 {"GET / HTTP/1.1\r\n" + toShop + "Host: other.example\r\n\r\n", nil},
		"no host":                   {"GET / HTTP/1.1\r\n\r\n", nil},
		"a host with a user":        {"GET / HTTP/1.1\r\nHost: " + shop + "@other.example\r\n" + last + "\r\n", nil},
		"a user at the host":        {"GET / HTTP/1.1\r\nHost: other.example@" + shop + "\r\n" + last + "\r\n", nil},
		"a host with a path":        {"GET / HTTP/1.1\r\nHost: " + shop + "/../other.example\r\n" + last + "\r\n", nil},
		"a host with two ports":     {"GET / HTTP/1.1\r\nHost: " + shop + ":443:80\r\n" + last + "\r\n", nil},
		"a host with a named port":  {"GET / HTTP/1.1\r\nHost: " + shop + ":@other\r\n" + last + "\r\n", nil},
		"another host in the line":  {"GET https://other.example/ HTTP/1.1\r\n" + toShop + last + "\r\n", nil},
		"the same host in the line": {"GET https://" + shop + "/a HTTP/1.1\r\nHost: other.example\r\n" + last + "\r\n", []string{"GET /a "}},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, "")
			w := &witness{}
			e.serve("web", shop, app(t, w.ServeHTTP))
			answered := statuses(t, e.raw(t), test.bytes)
			if got := w.requests(); !slices.Equal(got, test.want) {
				t.Errorf("the app saw %q, want %q", got, test.want)
			}
			refused := len(test.want) == 0
			if len(answered) != max(1, len(test.want)) || (answered[0] >= http.StatusBadRequest) != refused {
				t.Errorf("answered %v", answered)
			}
		})
	}
}

func TestWithoutTLSNothingIsReadAfterChunksEither(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	for name, test := range map[string]struct {
		bytes string
		want  []int
	}{
		"a length beyond the chunks": {post(fmt.Sprintf("Content-Length: %d\r\n", len(end+smuggled))+inChunks, end+smuggled), []int{308}},
		"nobody's host":              {"POST / HTTP/1.1\r\nHost: nobody.example\r\n" + inChunks + "\r\n" + end + smuggled, []int{404}},
		"a length":                   {post("Content-Length: 5\r\n", "12345") + "GET / HTTP/1.1\r\n" + toShop + last + "\r\n", []int{308, 308}},
	} {
		conn, err := net.Dial("tcp", e.HTTPAddr().String())
		must(t, err)
		if got := statuses(t, conn, test.bytes); !slices.Equal(got, test.want) {
			t.Errorf("%s: answered %v, want %v", name, got, test.want)
		}
		must(t, conn.Close())
	}
}

func TestConnectionsEndAfterChunksAlone(t *testing.T) {
	e := start(t, "")
	w := &witness{}
	e.serve("web", shop, app(t, w.ServeHTTP))
	unmeasured := func() io.Reader { return io.MultiReader(strings.NewReader("body")) }
	for name, test := range map[string]struct {
		http2 bool
		body  io.Reader
		kept  bool
	}{
		"HTTP/1.1 without a body":   {false, http.NoBody, true},
		"HTTP/1.1 with a length":    {false, strings.NewReader("body"), true},
		"HTTP/1.1 in chunks":        {false, unmeasured(), false},
		"HTTP/2 with a length":      {true, strings.NewReader("body"), true},
		"HTTP/2 without any length": {true, unmeasured(), true},
	} {
		t.Run(name, func(t *testing.T) {
			client := e.client(t, test.http2)
			if got := do(t, client, request(t, http.MethodPost, "https://"+shop+"/", test.body)); got.status != http.StatusOK {
				t.Errorf("answered %d %q", got.status, got.body)
			}
			kept := false
			next := request(t, http.MethodGet, "https://"+shop+"/", http.NoBody)
			do(t, client, next.WithContext(httptrace.WithClientTrace(next.Context(), &httptrace.ClientTrace{
				GotConn: func(got httptrace.GotConnInfo) { kept = got.Reused },
			})))
			if kept != test.kept {
				t.Errorf("kept: %v", kept)
			}
		})
	}
}

// h2 is an HTTP/2 connection by the client's own hand.
type h2 struct {
	*http2.Framer
	conn   *tls.Conn
	header bytes.Buffer
	encode *hpack.Encoder
}

func (e *edge) h2(t *testing.T) *h2 {
	t.Helper()
	conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{
		RootCAs: e.ca.pool(), ServerName: shop, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	})
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, http2.ClientPreface)
	must(t, err)
	h := &h2{Framer: http2.NewFramer(conn, conn), conn: conn}
	h.AllowIllegalWrites = true
	h.encode = hpack.NewEncoder(&h.header)
	must(t, h.WriteSettings())
	return h
}

// fields are the encoded headers of a request, the given ones last.
func (h *h2) fields(extra ...string) []byte {
	h.header.Reset()
	all := append([]string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", shop}, extra...)
	for i := 0; i < len(all); i += 2 {
		_ = h.encode.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}) // to memory
	}
	return bytes.Clone(h.header.Bytes())
}

// outcome reads until the first stream is answered, reset or the connection ended. It is
// the status, 0 for none.
func (h *h2) outcome() string {
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := h.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

func TestHTTP2RequestsThatAreNone(t *testing.T) {
	// Of these the edge passes on what it understood itself.
	corrected := []string{"a length that is not the body's"}
	for name, extra := range map[string][]string{
		"a connection header":              {"connection", "x-forwarded-for"},
		"a transfer encoding":              {"transfer-encoding", "chunked"},
		"an upgrade":                       {"upgrade", "websocket"},
		"a name in capitals":               {"X-Capital", "1"},
		"a line break in a value":          {"x-a", "1\r\nX-Forwarded-For: " + forged},
		"a line break in a name":           {"x-a: 1\r\nx-b", "1"},
		"a second path":                    {":path", "/other"},
		"a pseudo header of no such name":  {":forged", "1"},
		"a length that is not the body's":  {"content-length", "5"},
		"a host that is not the authority": {"host", "other.example"},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, "")
			w := &witness{}
			e.serve("web", shop, app(t, w.ServeHTTP))
			h := e.h2(t)
			must(t, h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.fields(extra...), EndHeaders: true, EndStream: true}))
			status := h.outcome()
			seen := w.requests()
			if slices.Contains(corrected, name) {
				if status != "200" || !slices.Equal(seen, []string{"GET / "}) {
					t.Errorf("answered %q; the app saw %q", status, seen)
				}
			} else if status == "200" || len(seen) > 0 {
				t.Errorf("answered %q; the app saw %q", status, seen)
			}
		})
	}
}
