package apps

import (
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

func TestAHostIsReadAsPeopleWriteIt(t *testing.T) {
	for typed, want := range map[string]string{
		"shop.example.com":        "shop.example.com",
		"example.com.":            "example.com",
		" Shop.Example.COM ":      "shop.example.com",
		"*.example.com":           "*.example.com",
		"bücher.example":          "xn--bcher-kva.example",
		"BÜCHER.example":          "xn--bcher-kva.example",
		"*.Bücher.example":        "*.xn--bcher-kva.example",
		"xn--bcher-kva.example":   "xn--bcher-kva.example",
		"faß.example":             "xn--fa-hia.example",
		"例え。テスト":                  "xn--r8jz45g.xn--zckzah",
		"acme-shop.localhost":     "acme-shop.localhost",
		"www.acme-shop.localhost": "www.acme-shop.localhost",
		"me.github.io":            "me.github.io",
		"shop.example.co.uk":      "shop.example.co.uk",
		"3com.example.com":        "3com.example.com",
	} {
		got, err := ParseDomain("host", typed)
		if err != nil || got != want {
			t.Errorf("%q is read as %q (%v), want %q", typed, got, err, want)
		}
	}
}

func TestWhatIsNobodysHostIsRefusedWithAReason(t *testing.T) {
	for typed, reason := range map[string]string{
		"":                                   "is no host",
		"*.":                                 "is no host",
		".":                                  "is no host",
		"*.com":                              "is a single word",
		"com":                                "is a single word",
		"localhost":                          "is a single word",
		"*.localhost":                        "is a single word",
		"co.uk":                              "nobody's own",
		"*.co.uk":                            "nobody's own",
		"github.io":                          "nobody's own",
		"*.github.io":                        "nobody's own",
		"http://example.com":                 "is an address",
		"example.com/path":                   "is an address",
		"me@example.com":                     "is an address",
		"example.com:8080":                   "has a port",
		"192.0.2.1":                          "is an IP address",
		"192.0.2.1:80":                       "is an IP address",
		"2001:db8::1":                        "is an IP address",
		"[2001:db8::1]":                      "is an IP address",
		"*.192.0.2.1":                        "is an IP address",
		"127.1":                              "is an IP address",
		"example.0x7f":                       "is an IP address",
		"１.２.３.４":                            "is not a host name",
		"my_shop.example.com":                "has an underscore",
		"a.*.example.com":                    "its whole first label",
		"a*.example.com":                     "its whole first label",
		"*.*.example.com":                    "its whole first label",
		"-a.example.com":                     "is not a host name",
		"a..example.com":                     "is not a host name",
		".example.com":                       "is not a host name",
		"exa mple.com":                       "is not a host name",
		"xn--a.example.com":                  "is not a host name",
		"a\x00.example.com":                  "is not a host name",
		strings.Repeat("a", 64) + ".ex.com":  "is not a host name",
		strings.Repeat("a.", 130) + "ex.com": "use at most 240",
	} {
		got, err := ParseDomain("host", typed)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %q (%v), want a refusal that says %q", typed, got, err, reason)
			continue
		}
		if fault := errs.As(err); fault.Field != "host" || fault.Fix == "" || fault.Code != errs.Invalid {
			t.Errorf("%q: the refusal names no field or no fix: %+v", typed, fault)
		}
	}
}

func TestHostsOfThePlatformAreNobodys(t *testing.T) {
	for host, free := range map[string]bool{
		"berth.example.com":           false,
		"*.berth.example.com":         false,
		"shop.acme.berth.example.com": false,
		"example.com":                 false,
		"*.example.com":               false,
		"notberth.example.com":        true,
		"*.shop.example.com":          true,
		"example.org":                 true,
	} {
		if err := CheckOutside("host", host, "berth.example.com"); (err == nil) != free {
			t.Errorf("%s: %v, want free: %t", host, err, free)
		}
	}
	if err := CheckOutside("host", "acme-shop.localhost", "berth.localhost"); err != nil {
		t.Errorf("a name beside the platform's: %v", err)
	}
}

func TestAWildcardStandsForOneLabel(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"example.com", "example.com", true},
		{"*.example.com", "*.example.com", true},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "a.b.example.com", false},
		{"*.example.com", "*.b.example.com", false},
		{"a.example.com", "b.example.com", false},
		{"*.example.com", "a.otherexample.com", false},
	} {
		if Overlap(test.a, test.b) != test.want || Overlap(test.b, test.a) != test.want {
			t.Errorf("%s and %s: want overlap %t, both ways", test.a, test.b, test.want)
		}
	}
}

func TestTheNameThatWasRegistered(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "example.com", "*.example.com": "example.com", "a.b.example.co.uk": "example.co.uk",
		"www.acme-shop.localhost": "acme-shop.localhost", "x.me.github.io": "me.github.io", "com": "",
	} {
		if got, err := Registrable(host); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q (%v), want %q", host, got, err, want)
		}
	}
}

var asTheKindSays = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

func FuzzParseDomain(f *testing.F) {
	for _, seed := range []string{"shop.example.com", "*.Bücher.example.", "例え。テスト", "http://x/", "[::1]:80", "xn--a.com", "*.*.a.b", "ß.de", "١.com"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		host, err := ParseDomain("host", typed)
		if err != nil {
			if host != "" || errs.As(err).Fix == "" {
				t.Fatalf("%q: refused with %q and without a fix: %v", typed, host, err)
			}
			return
		}
		if !asTheKindSays.MatchString(host) || len(host) > 240 {
			t.Fatalf("%q became %q, which the kind refuses", typed, host)
		}
		if faults := content.IsDNS1123Subdomain(v1alpha1.DomainName(host)); len(faults) > 0 {
			t.Fatalf("%q became %q, which cannot name an object: %v", typed, host, faults)
		}
		for _, again := range []string{host, ShowDomain(host)} {
			if got, err := ParseDomain("host", again); err != nil || got != host {
				t.Fatalf("%q became %q, and that as %q became %q (%v)", typed, host, again, got, err)
			}
		}
		if _, err := Registrable(host); err != nil {
			t.Fatal(err)
		}
	})
}
