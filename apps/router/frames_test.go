package router

import (
	"bytes"
	"fmt"
	"testing"
)

// frame is a WebSocket frame of a server.
func frame(size int, masked bool) []byte {
	f := []byte{0x82}
	switch {
	case size < 126:
		f = append(f, byte(size))
	case size < 1<<16:
		f = append(f, 126, byte(size>>8), byte(size))
	default:
		f = append(f, 127, 0, 0, 0, 0, 0, byte(size>>16), byte(size>>8), byte(size))
	}
	if masked {
		f[1] |= 0x80
		f = append(f, 1, 2, 3, 4)
	}
	return append(f, bytes.Repeat([]byte{0x88}, size)...)
}

func TestFramesAreFollowedHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	var whole []byte
	ends := map[int]bool{0: true}
	for _, size := range []int{0, 1, 125, 126, 300, 1 << 16} {
		for _, masked := range []bool{false, true} {
			whole = append(whole, frame(size, masked)...)
			ends[len(whole)] = true
		}
	}
	for _, chunk := range []int{1, 2, 3, 7, 1000, len(whole)} {
		t.Run(fmt.Sprint("in pieces of ", chunk), func(t *testing.T) {
			t.Parallel()
			var f frames
			for at := 0; at < len(whole); at += chunk {
				piece := whole[at:min(at+chunk, len(whole))]
				// Stopping here must send up to the next end of a frame, or the whole piece.
				stopped := f
				stopped.header = bytes.Clone(f.header)
				send := stopped.advance(piece, true)
				if !ends[at+send] && send != len(piece) {
					t.Fatalf("stops at %d, in the middle of a frame", at+send)
				}
				for end := at; end < at+send; end++ {
					if ends[end] {
						t.Fatalf("sends beyond the end of a frame at %d, up to %d", end, at+send)
					}
				}
				if n := f.advance(piece, false); n != len(piece) {
					t.Fatalf("sends %d of %d", n, len(piece))
				}
				if f.between() != ends[at+len(piece)] {
					t.Fatalf("between frames at %d: %v", at+len(piece), f.between())
				}
			}
		})
	}
}
