package main

import (
	"strings"
	"testing"
	"unicode"
)

func TestATerminalIsShownTextAndColoursAndObeysNothingElse(t *testing.T) {
	for name, test := range map[string]struct{ in, coloured, plain string }{
		"text":                          {"Grüße, 世界 ✓", "Grüße, 世界 ✓", "Grüße, 世界 ✓"},
		"newlines and tabs":             {"a\n\tb\n", "a\n\tb\n", "a\n\tb\n"},
		"a colour":                      {"\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m", "red"},
		"a colour of many":              {"\x1b[38:2::1:2:3mx\x1b[m", "\x1b[38:2::1:2:3mx\x1b[m", "x"},
		"a title":                       {"\x1b]0;owned\x07x", "]0;ownedx", "]0;ownedx"},
		"a cleared screen":              {"\x1b[2Jx", "[2Jx", "[2Jx"},
		"the cursor":                    {"\x1b[1;1Hx\x1b[6n", "[1;1Hx[6n", "[1;1Hx[6n"},
		"a private mode that ends in m": {"\x1b[>4;2mx", "[>4;2mx", "[>4;2mx"},
		"a line that is overwritten":    {"bad\rgood", "badgood", "badgood"},
		"backspaces":                    {"bad\b\b\bok", "badok", "badok"},
		"a bell":                        {"\x07\x00\x7f", "", ""},
		"control characters of 8 bits":  {"\u009b2Jx\u009d0;t\u009c", "2Jx0;t", "2Jx0;t"},
		"bytes that are no text":        {"a\x9b2J\xffb", "a\ufffd2J\ufffdb", "a\ufffd2J\ufffdb"},
		"text turned around":            {"a\u202eb", "ab", "ab"},
		"a sequence inside a sequence":  {"\x1b\x1b[31m[2J", "\x1b[31m[2J", "[2J"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := clean(test.in, true); got != test.coloured {
				t.Errorf("with colours %q, want %q", got, test.coloured)
			}
			if got := clean(test.in, false); got != test.plain {
				t.Errorf("without %q, want %q", got, test.plain)
			}
		})
	}
}

func TestAStreamIsCleanedAsOneTextHoweverItIsCut(t *testing.T) {
	const in = "\x1b[1;31mröt\x1b[0m \x1b[2J世\x1b]0;t\x07\n"
	var whole strings.Builder
	if _, err := (&cleaner{to: &whole}).Write([]byte(in)); err != nil {
		t.Fatal(err)
	}
	if want := clean(in, true); whole.String() != want {
		t.Errorf("at once %q, want %q", whole.String(), want)
	}
	for cut := range len(in) {
		var got strings.Builder
		c := &cleaner{to: &got}
		for _, part := range []string{in[:cut], in[cut:]} {
			if n, err := c.Write([]byte(part)); err != nil || n != len(part) {
				t.Fatalf("%d bytes of %d, %v", n, len(part), err)
			}
		}
		if got.String() != whole.String() {
			t.Errorf("cut at %d: %q, want %q", cut, got.String(), whole.String())
		}
	}
}

func FuzzNothingThatATerminalObeysIsLeft(f *testing.F) {
	for _, seed := range []string{"text", "\x1b[31mred\x1b[0m", "\x1b\x1b[1m[2J", "\x1b]0;t\x07", "\u009b2J", "\xff\x9b", "a\rb"} {
		f.Add(seed, 3)
	}
	obeys := func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if got := clean(text, false); strings.ContainsFunc(got, obeys) {
			t.Errorf("%q became %q", text, got)
		}
		var out strings.Builder
		c := &cleaner{to: &out}
		cut = max(0, min(cut, len(text)))
		_, _ = c.Write([]byte(text[:cut]))
		_, _ = c.Write([]byte(text[cut:]))
		for _, got := range []string{clean(text, true), out.String()} {
			for at, r := range got {
				if obeys(r) && !colour.MatchString(got[at:]) {
					t.Errorf("%q became %q", text, got)
				}
			}
		}
	})
}
