package zone

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

const shop = `acme-shop.localhost. SOA ns.acme-shop.localhost. admin.acme-shop.localhost. 1 60 60 60 1
acme-shop.localhost. NS ns.acme-shop.localhost.
_berth.www.acme-shop.localhost. TXT "berth-domain=token"
www.acme-shop.localhost A 10.0.0.1
www.acme-shop.localhost AAAA 2001:db8::1
api.acme-shop.localhost. CNAME www.acme-shop.localhost.
out.acme-shop.localhost. CNAME elsewhere.example.
loop.acme-shop.localhost. CNAME loop.acme-shop.localhost.
*.acme-shop.localhost. A 10.0.0.2
`

// serve runs a server of the given zone on a free port and returns its address.
func serve(t *testing.T, path string) string {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(path, slog.New(slog.DiscardHandler)).serve(ctx, packets, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	return packets.LocalAddr().String()
}

func zoneFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zone.db")
	rewrite(t, path, text)
	return path
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ask returns the answer's code, and each record's name, type and content in one line.
func ask(t *testing.T, network, server, name string, kind uint16) (string, []string, *dns.Msg) {
	t.Helper()
	client := dns.Client{Net: network, Timeout: 5 * time.Second}
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	answer, _, err := client.ExchangeContext(t.Context(), question, server)
	if err != nil {
		t.Fatalf("asking for %s by %s: %v", name, network, err)
	}
	var lines []string
	for _, record := range answer.Answer {
		content := strings.TrimPrefix(record.String(), record.Header().String())
		lines = append(lines, record.Header().Name+" "+dns.TypeToString[record.Header().Rrtype]+" "+content)
	}
	return dns.RcodeToString[answer.Rcode], lines, answer
}

func TestAnswers(t *testing.T) {
	server := serve(t, zoneFile(t, shop))
	for name, c := range map[string]struct {
		host string
		kind uint16
		code string
		want []string
	}{
		"a text":          {"_berth.www.acme-shop.localhost", dns.TypeTXT, "NOERROR", []string{`_berth.www.acme-shop.localhost. TXT "berth-domain=token"`}},
		"an address":      {"www.acme-shop.localhost", dns.TypeA, "NOERROR", []string{"www.acme-shop.localhost. A 10.0.0.1"}},
		"in capitals":     {"WWW.Acme-Shop.Localhost", dns.TypeA, "NOERROR", []string{"www.acme-shop.localhost. A 10.0.0.1"}},
		"of version 6":    {"www.acme-shop.localhost", dns.TypeAAAA, "NOERROR", []string{"www.acme-shop.localhost. AAAA 2001:db8::1"}},
		"the servers":     {"acme-shop.localhost", dns.TypeNS, "NOERROR", []string{"acme-shop.localhost. NS ns.acme-shop.localhost."}},
		"the authority":   {"acme-shop.localhost", dns.TypeSOA, "NOERROR", []string{"acme-shop.localhost. SOA ns.acme-shop.localhost. admin.acme-shop.localhost. 1 60 60 60 1"}},
		"an alias itself": {"api.acme-shop.localhost", dns.TypeCNAME, "NOERROR", []string{"api.acme-shop.localhost. CNAME www.acme-shop.localhost."}},
		"an alias is taken": {"api.acme-shop.localhost", dns.TypeA, "NOERROR", []string{
			"api.acme-shop.localhost. CNAME www.acme-shop.localhost.", "www.acme-shop.localhost. A 10.0.0.1",
		}},
		"an alias out of the file ends there":  {"out.acme-shop.localhost", dns.TypeA, "NOERROR", []string{"out.acme-shop.localhost. CNAME elsewhere.example."}},
		"a name without that kind exists":      {"www.acme-shop.localhost", dns.TypeMX, "NOERROR", nil},
		"any other name is the wildcard's":     {"what.ever.acme-shop.localhost", dns.TypeA, "NOERROR", []string{"what.ever.acme-shop.localhost. A 10.0.0.2"}},
		"the wildcard is not for its own zone": {"acme-shop.localhost", dns.TypeA, "NOERROR", nil},
		"a name above others exists":           {"localhost", dns.TypeA, "NOERROR", nil},
		"no other name exists":                 {"www.example.com", dns.TypeA, "NXDOMAIN", nil},
		"a name that only ends alike does not": {"xacme-shop.localhost", dns.TypeA, "NXDOMAIN", nil},
		"the root is nobody's":                 {".", dns.TypeNS, "NXDOMAIN", nil},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(name+" by "+network, func(t *testing.T) {
				code, got, answer := ask(t, network, server, c.host, c.kind)
				if code != c.code || !answer.Authoritative {
					t.Errorf("%s, with authority %t; want %s with authority", code, answer.Authoritative, c.code)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
	t.Run("an alias of itself ends", func(t *testing.T) {
		if _, got, _ := ask(t, "udp", server, "loop.acme-shop.localhost", dns.TypeA); len(got) != longestChain {
			t.Errorf("%d records", len(got))
		}
	})
	t.Run("what is not there is denied by the zone's authority", func(t *testing.T) {
		_, _, answer := ask(t, "udp", server, "www.acme-shop.localhost", dns.TypeMX)
		if len(answer.Ns) != 1 || answer.Ns[0].Header().Rrtype != dns.TypeSOA {
			t.Errorf("authority %v", answer.Ns)
		}
	})
}

func TestTheFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	server := serve(t, path)
	expect := func(step, code string, want ...string) {
		t.Helper()
		got, lines, _ := ask(t, "udp", server, "shop.localhost", dns.TypeA)
		if got != code || !slices.Equal(lines, want) {
			t.Errorf("%s: %s %v, want %s %v", step, got, lines, code, want)
		}
	}
	expect("without a file", "NXDOMAIN")
	rewrite(t, path, "shop.localhost. A 10.0.0.1\n")
	expect("once it is there", "NOERROR", "shop.localhost. A 10.0.0.1")
	rewrite(t, path, "shop.localhost. A 10.0.0.22\nshop.localhost. A ten\n")
	expect("a broken file changes nothing", "NOERROR", "shop.localhost. A 10.0.0.1")
	rewrite(t, path, "shop.localhost. A 10.0.0.222\n")
	expect("a mended one does", "NOERROR", "shop.localhost. A 10.0.0.222")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("a removed one has no names", "NXDOMAIN")
}

func TestALongAnswerIsCutForUDPAndWholeForTCP(t *testing.T) {
	text := strings.Repeat("shop.localhost. TXT \""+strings.Repeat("x", 200)+"\"\n", 5)
	server := serve(t, zoneFile(t, text))
	if _, lines, answer := ask(t, "udp", server, "shop.localhost", dns.TypeTXT); !answer.Truncated || len(lines) >= 5 {
		t.Errorf("by UDP: cut %t, %d records", answer.Truncated, len(lines))
	}
	if _, lines, answer := ask(t, "tcp", server, "shop.localhost", dns.TypeTXT); answer.Truncated || len(lines) != 5 {
		t.Errorf("by TCP: cut %t, %d records", answer.Truncated, len(lines))
	}
}
