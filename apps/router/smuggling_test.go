package router_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
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

func TestSmugglingPairs(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: " + shop + "\r\nX-Forwarded-For: " + forged + "\r\n\r\n"
	const host = "Host: " + shop + "\r\n"
	post := func(headers, body string) string {
		return "POST / HTTP/1.1\r\n" + host + headers + "\r\n" + body
	}
	for name, test := range map[string]struct {
		bytes string
		// want is what the app may see; a second request of the client's own is one that
		// edge and app both take for one.
		want []string
	}{
		"chunks win over a length, and the rest is a request of the client's": {
			post(fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", 5+len(smuggled)), "0\r\n\r\n"+smuggled),
			[]string{"POST / ", "GET /smuggled "},
		},
		"two lengths":                      {post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345"+smuggled), nil},
		"two lengths in one":               {post("Content-Length: 5, 6\r\n", "12345"+smuggled), nil},
		"a length with a sign":             {post("Content-Length: +5\r\n", "12345"+smuggled), nil},
		"a length in hexadecimal":          {post("Content-Length: 0x5\r\n", "12345"+smuggled), nil},
		"an unknown encoding":              {post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"+smuggled), nil},
		"chunks within another encoding":   {post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"+smuggled), nil},
		"two encodings":                    {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"+smuggled), nil},
		"a blank before the colon":         {post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"+smuggled), nil},
		"a vertical tab before the value":  {post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"+smuggled), nil},
		"a zero byte in a value":           {post("X-A: a\x00b\r\nContent-Length: 0\r\n", smuggled), nil},
		"a zero byte in the path":          {"GET /\x00 HTTP/1.1\r\n" + host + "\r\n" + smuggled, nil},
		"a carriage return within a value": {post("X-A: a\rX-Forwarded-For: "+forged+"\r\nContent-Length: 0\r\n", smuggled), nil},
		"bare line feeds": {
			"POST / HTTP/1.1\nHost: " + shop + "\nContent-Length: 5\nConnection: close\n\n12345", []string{"POST / 12345"},
		},
		"an underscore for a hyphen": {
			post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\nConnection: close\r\n", "0\r\n\r\n"), []string{"POST / 0\r\n\r\n"},
		},
		"headers that the client calls its connection's": {
			post("Connection: close, X-Forwarded-For, Content-Length\r\nX-Forwarded-For: "+forged+"\r\nContent-Length: 5\r\n", "12345"),
			[]string{"POST / 12345"},
		},
		"two hosts":                {"GET / HTTP/1.1\r\n" + host + "Host: other.example\r\n\r\n", nil},
		"no host":                  {"GET / HTTP/1.1\r\n\r\n", nil},
		"a host with a user":       {"GET / HTTP/1.1\r\nHost: " + shop + "@other.example\r\n\r\n", nil},
		"a user at the host":       {"GET / HTTP/1.1\r\nHost: other.example@" + shop + "\r\n\r\n", nil},
		"a host with a path":       {"GET / HTTP/1.1\r\nHost: " + shop + "/../other.example\r\n\r\n", nil},
		"a host with two ports":    {"GET / HTTP/1.1\r\nHost: " + shop + ":443:80\r\n\r\n", nil},
		"a host with a named port": {"GET / HTTP/1.1\r\nHost: " + shop + ":@other\r\n\r\n", nil},
		"another host in the line": {"GET https://other.example/ HTTP/1.1\r\n" + host + "\r\n", nil},
		"the same host in the line": {
			"GET https://" + shop + "/a HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n", []string{"GET /a "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, "")
			w := &witness{}
			e.serve("web", shop, app(t, w.ServeHTTP))
			conn := e.raw(t)
			_, err := io.WriteString(conn, test.bytes)
			must(t, err)
			answers := bufio.NewReader(conn)
			for n := 0; ; n++ {
				res, err := http.ReadResponse(answers, nil)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode >= http.StatusBadRequest || n+1 == len(test.want) {
					if n+1 > len(test.want) && strings.HasSuffix(test.bytes, smuggled) && !res.Close {
						t.Errorf("after %d the connection goes on, and what follows is read", res.StatusCode)
					}
					break
				}
			}
			if got := w.requests(); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
				t.Errorf("the app saw %q, want %q", got, test.want)
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
