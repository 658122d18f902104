package router

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// farewell is how long a client has to answer a close frame before its connection ends.
const farewell = 5 * time.Second

// goingAway is a WebSocket's close frame with code 1001, from server to client (RFC 6455).
var goingAway = []byte{0x88, 0x02, 0x03, 0xe9}

// upgraded is a client's connection after a change of protocol. It counts what goes to the
// client. If it is a WebSocket it also follows its frames, so that a close frame of ours
// never falls into the middle of another.
type upgraded struct {
	net.Conn

	streams   *streams
	websocket bool
	// early is what the client sent with its request, for the app.
	early []byte

	mu      sync.Mutex
	frames  frames
	bytes   int64
	leaving bool
	left    bool
	timer   *time.Timer
}

// isWebSocket reports whether a request asks for one.
func isWebSocket(r *http.Request) bool {
	return httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Hijack takes the connection from the server and follows it from here on. Caddy's proxy
// gets one that has ended.
func (m *meter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(m.ResponseWriterWrapper).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := buffer.Peek(buffer.Reader.Buffered()) // what is buffered can be had
	m.upgraded = &upgraded{Conn: conn, streams: m.streams, websocket: m.websocket, early: bytes.Clone(early)}
	m.streams.add(m.upgraded)
	return over{}, bufio.NewReadWriter(bufio.NewReaderSize(over{}, 0), bufio.NewWriterSize(over{}, 1)), nil
}

// forward gives the app what came early.
func (u *upgraded) forward(app io.Writer) error {
	if len(u.early) == 0 {
		return nil
	}
	_, err := app.Write(u.early)
	u.early = nil
	return err
}

// Write passes bytes on to the client. After a close frame nothing may follow, so what
// the app still says is dropped.
func (u *upgraded) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left {
		return len(p), nil
	}
	send := len(p)
	if u.websocket {
		send = u.frames.advance(p, u.leaving)
	}
	n, err := u.Conn.Write(p[:send])
	u.bytes += int64(n)
	goodbye := send < len(p) || u.leaving && u.frames.between()
	if err != nil || !goodbye {
		return n, err
	}
	return len(p), u.sayGoodbye()
}

// CloseWrite passes the end of one direction on where the connection can. After a close
// frame the app's end is the end of both.
func (u *upgraded) CloseWrite() error {
	u.mu.Lock()
	left := u.left
	u.mu.Unlock()
	if left {
		return u.Close()
	}
	if half, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return u.Close()
}

// leave says goodbye as soon as the frame under way is whole. Other protocols than
// WebSockets know no such word: they end by themselves or are cut.
func (u *upgraded) leave() {
	if !u.websocket {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.leaving = true
	if !u.left && u.frames.between() {
		// A client that has gone is noticed by whoever reads from it.
		_ = u.sayGoodbye()
	}
}

// sayGoodbye sends the close frame; the client's answer goes on to the app, which then
// ends the connection. The lock is held.
func (u *upgraded) sayGoodbye() error {
	u.left = true
	u.timer = time.AfterFunc(farewell, u.cut)
	_, err := u.Conn.Write(goingAway)
	return err
}

func (u *upgraded) cut() { _ = u.Close() }

// Close ends the connection. It counts as open until all about it is noted.
func (u *upgraded) Close() error {
	err := u.Conn.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.timer != nil {
		u.timer.Stop()
	}
	return err
}

// sent is how many bytes went to the client.
func (u *upgraded) sent() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes
}

func (u *upgraded) kind() string {
	if u.websocket {
		return "websocket"
	}
	return "upgrade"
}

// frames follows where WebSocket frames of a server begin and end.
type frames struct {
	header []byte
	left   uint64
}

// between reports whether the next byte begins a frame.
func (f *frames) between() bool { return f.left == 0 && len(f.header) == 0 }

// advance follows bytes and returns how many of them to send: all, or, to stop, those
// that make the frame under way whole.
func (f *frames) advance(p []byte, stop bool) int {
	for i := 0; i < len(p); {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)-i))
			f.left -= n
			i += int(n) // not more than len(p)
			continue
		}
		if stop && len(f.header) == 0 {
			return i
		}
		f.header = append(f.header, p[i])
		i++
		if length, whole := payload(f.header); whole {
			f.left, f.header = length, f.header[:0]
		}
	}
	return len(p)
}

// payload is the length that follows a frame's header, once the header is whole.
func payload(header []byte) (length uint64, whole bool) {
	if len(header) < 2 {
		return 0, false
	}
	size, length := 2, uint64(header[1]&0x7f)
	switch length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	masked := header[1]&0x80 != 0
	if masked { // no server masks; one that does is followed all the same
		size += 4
	}
	if len(header) < size {
		return 0, false
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(header[2:]))
	case 127:
		length = binary.BigEndian.Uint64(header[2:])
	}
	return length, true
}
