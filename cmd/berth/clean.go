package main

import (
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// colour is a sequence that sets how text looks and does nothing else.
var colour = regexp.MustCompile(`^\x1b\[[0-9;:]{0,32}m`)

// clean drops what would make a terminal do anything but show text: what apps write is
// anybody's, and a terminal that obeys it changes its title, the lines above or what the
// next key types. Newlines and tabs stay, and colours where they are wanted. What is left
// of other sequences stays too, as text to see.
func clean(text string, colours bool) string {
	plain := func(r rune) bool { return !isControl(r) && r != utf8.RuneError }
	if !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	var out strings.Builder
	for text != "" {
		if found := colour.FindString(text); found != "" {
			if colours {
				out.WriteString(found)
			}
			text = text[len(found):]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		if plain(r) {
			out.WriteRune(r)
		} else if r == utf8.RuneError {
			// A byte that is no text could be a control character of another encoding.
			out.WriteRune('\uFFFD')
		}
		text = text[size:]
	}
	return out.String()
}

// isControl knows the control characters of ASCII and of Unicode, and the marks that
// turn the direction of text around.
func isControl(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// forTerminal cleans what is written to w if that is a terminal.
func forTerminal(w io.Writer) io.Writer {
	if !isTerminal(w) {
		return w
	}
	return &cleaner{to: w}
}

// cleaner cleans a stream. It keeps the beginning of a character or of a colour back
// until the rest of it comes; at the end of the stream nothing is missed by that.
type cleaner struct {
	to   io.Writer
	kept string
}

// unfinished is the beginning of a colour at the end of a text.
var unfinished = regexp.MustCompile(`\x1b(\[[0-9;:]{0,32})?$`)

// Write implements io.Writer.
func (c *cleaner) Write(p []byte) (int, error) {
	text := c.kept + string(p)
	whole := len(text) - len(unfinished.FindString(text))
	if whole == len(text) {
		whole -= cutRune(text)
	}
	c.kept = text[whole:]
	_, err := io.WriteString(c.to, clean(text[:whole], true))
	return len(p), err
}

// cutRune is how many bytes at the end of a text begin a character that is not whole.
func cutRune(text string) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(text)); n++ {
		if b := text[len(text)-n]; utf8.RuneStart(b) {
			if utf8.FullRuneInString(text[len(text)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}
