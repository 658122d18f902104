package apps

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/berth-dev/berth/internal/errs"
)

// AnnotationCheckDomain on a Domain asks to look at the proof of its ownership at once. It
// is taken off when that was done.
const AnnotationCheckDomain = "berth.dev/check"

const (
	wildcard = "*."
	// maxDomain leaves room for the prefix that makes a host the name of an object.
	maxDomain = 240
	maxLabel  = 63
)

// ParseDomain makes of a host that a person typed the form DNS has: lower case,
// international letters as xn--, no trailing dot; a first label * stays. The field is where
// it was typed. It refuses what cannot be a host of somebody's own, such as an address, a
// single label, or a name under which anybody may register.
func ParseDomain(field, typed string) (string, error) {
	base, anyLabel := strings.CutPrefix(strings.TrimSpace(typed), wildcard)
	base = strings.TrimSuffix(base, ".")
	if fault, fix := notAHost(base); fault != "" {
		return "", errs.New(errs.Invalid, field, fmt.Sprintf("%q %s", shorten(typed), fault), fix)
	}
	ascii, err := toASCII(base)
	if err != nil || !plainLabels(ascii) || isAddress(ascii) {
		return "", errs.New(errs.Invalid, field, fmt.Sprintf("%q is not a host name", shorten(typed)),
			"write letters, digits and hyphens in labels of at most 63 characters, with dots between them, such as shop.example.com")
	}
	host := ascii
	if anyLabel {
		host = wildcard + ascii
	}
	if len(host) > maxDomain {
		return "", errs.New(errs.Invalid, field, fmt.Sprintf("the host has %d characters as DNS has it", len(host)),
			fmt.Sprintf("use at most %d", maxDomain))
	}
	if _, err := Registrable(host); err != nil {
		return "", errs.New(errs.Invalid, field, fmt.Sprintf("%q is a name under which others register theirs, nobody's own", shorten(typed)),
			"write the name that you registered, or one below it, such as shop.example.com")
	}
	return host, nil
}

// toASCII fails also for what it would not take back itself.
func toASCII(host string) (string, error) {
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", err
	}
	return idna.Lookup.ToASCII(ascii)
}

// notAHost tells people who typed something else than a host what they typed.
func notAHost(base string) (fault, fix string) {
	bare := strings.Trim(base, "[]")
	_, port, hasPort := strings.Cut(base, ":")
	switch {
	case base == "":
		return "is no host", "write one such as shop.example.com"
	case strings.Contains(base, "://"), strings.ContainsAny(base, "/?#@"):
		return "is an address, not a host", "write the host alone, without http:// and without a path"
	case isAddress(bare):
		return "is an IP address", "write the name that leads there"
	case hasPort && port != "":
		return "has a port", "write the host alone: the edge serves it at its own ports"
	case strings.Contains(base, "*"):
		return "has a * that is not its whole first label", "write *.example.com for any one label below example.com"
	case strings.Contains(base, "_"):
		return "has an underscore, which no host has", "leave it out, or use a hyphen"
	case !strings.Contains(strings.Map(dots, base), "."):
		return "is a single word", "write the whole name, such as shop.example.com"
	}
	return "", ""
}

// dots makes one of the signs that international names may have between their labels.
func dots(r rune) rune {
	switch r {
	case '。', '．', '｡':
		return '.'
	}
	return r
}

// isAddress also takes for an address what browsers do: a name that ends in a number.
func isAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if strings.Trim(last, "0123456789") == "" {
		return last != ""
	}
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil
}

func plainLabels(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if len(label) > maxLabel || !hostLabel.MatchString(label) {
			return false
		}
	}
	return strings.Contains(host, ".")
}

// shorten keeps what a person typed quotable.
func shorten(typed string) string {
	const most = 80
	if runes := []rune(typed); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return typed
}

// CheckOutside refuses a host that is the platform's own, below it, or a name or wildcard
// above it: those hosts are nobody's.
func CheckOutside(field, host, platform string) error {
	base := strings.TrimPrefix(host, wildcard)
	switch {
	case base == platform, strings.HasSuffix(base, "."+platform):
		return errs.New(errs.Invalid, field, fmt.Sprintf("%s belongs to the platform", ShowDomain(host)),
			"apps have hosts under "+platform+" by themselves; add a name that you registered")
	case strings.HasSuffix(platform, "."+base):
		return errs.New(errs.Invalid, field, fmt.Sprintf("the platform's own %s is below %s", platform, ShowDomain(base)),
			"add a name beside it")
	}
	return nil
}

// ShowDomain writes a host as people do, with its international letters.
func ShowDomain(host string) string {
	base, anyLabel := strings.CutPrefix(host, wildcard)
	shown, err := idna.Display.ToUnicode(base)
	if err != nil {
		return host
	}
	if anyLabel {
		return wildcard + shown
	}
	return shown
}

// Registrable gives the name that somebody registered and that a host belongs to, by the
// public suffix list: example.co.uk for *.shop.example.co.uk. A public suffix is an error.
func Registrable(host string) (string, error) {
	name, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimPrefix(host, wildcard))
	if err != nil {
		return "", fmt.Errorf("%s: no registrable name: %w", host, err)
	}
	return name, nil
}

// IsWildcard says whether a host stands for any one label below its base.
func IsWildcard(host string) bool { return strings.HasPrefix(host, wildcard) }

// Overlap says whether some request could be for either of two hosts. A wildcard stands for
// exactly one label, so *.example.com overlaps with a.example.com, not with a.b.example.com,
// *.b.example.com or example.com.
func Overlap(a, b string) bool { return a == b || covers(a, b) || covers(b, a) }

// covers says whether a wildcard stands for a host, among others.
func covers(pattern, host string) bool {
	base, anyLabel := strings.CutPrefix(pattern, wildcard)
	if !anyLabel || IsWildcard(host) {
		return false
	}
	_, parent, ok := strings.Cut(host, ".")
	return ok && parent == base
}
