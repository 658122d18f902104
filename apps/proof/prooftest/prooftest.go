// Package prooftest is the internet of tests: a DNS server with the records and a web
// server with the answers that a test gives it, both on this machine.
//
// Tests alone may import it.
package prooftest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/berth-dev/berth/apps/proof"
)

// Internet holds what its servers answer.
type Internet struct {
	// Resolver is the DNS server's address, host:port.
	Resolver string
	// Port of the web server.
	Port int

	mu      sync.Mutex
	texts   map[string][]string
	hosts   map[string][]net.IP
	answers map[string]http.HandlerFunc
	asked   []string
}

// Start starts both servers, until the test ends.
func Start(tb testing.TB) *Internet {
	tb.Helper()
	i := &Internet{texts: map[string][]string{}, hosts: map[string][]net.IP{}, answers: map[string]http.HandlerFunc{}}
	packets, err := (&net.ListenConfig{}).ListenPacket(tb.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(i.dns)}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	i.Resolver = packets.LocalAddr().String()
	web := httptest.NewServer(http.HandlerFunc(i.web))
	_, port, err := net.SplitHostPort(web.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	if i.Port, err = strconv.Atoi(port); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		web.Close()
		_ = packets.Close()
		<-ended
	})
	return i
}

// Looker looks at this internet, whose addresses are this machine's.
func (i *Internet) Looker() *proof.Looker {
	return proof.New(proof.Options{
		Resolver: i.Resolver, Port: i.Port, PrivateCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
}

// Text gives a name TXT records instead of those it had; none takes them away.
func (i *Internet) Text(name string, texts ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.texts[dns.Fqdn(name)] = texts
}

// Host gives a name addresses.
func (i *Internet) Host(name string, addresses ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []net.IP
	for _, address := range addresses {
		all = append(all, net.ParseIP(address))
	}
	i.hosts[dns.Fqdn(name)] = all
}

// Answer lets a host that leads here answer plain HTTP; nil takes the answer away.
func (i *Internet) Answer(host string, answer http.HandlerFunc) {
	i.Host(host, "127.0.0.1")
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers[host] = answer
}

// Asked lists the hosts and paths that were asked for over HTTP.
func (i *Internet) Asked() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.asked...)
}

func (i *Internet) web(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked = append(i.asked, r.Host+r.URL.Path)
	answer := i.answers[r.Host]
	i.mu.Unlock()
	if answer == nil {
		http.NotFound(w, r)
		return
	}
	answer(w, r)
}

func (i *Internet) dns(w dns.ResponseWriter, question *dns.Msg) {
	i.mu.Lock()
	defer i.mu.Unlock()
	answer := new(dns.Msg)
	answer.SetReply(question)
	name := question.Question[0].Name
	header := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: 1}
	switch question.Question[0].Qtype {
	case dns.TypeTXT:
		header.Rrtype = dns.TypeTXT
		for _, text := range i.texts[name] {
			answer.Answer = append(answer.Answer, &dns.TXT{Hdr: header, Txt: []string{text}})
		}
	case dns.TypeA:
		header.Rrtype = dns.TypeA
		for _, address := range i.hosts[name] {
			if v4 := address.To4(); v4 != nil {
				answer.Answer = append(answer.Answer, &dns.A{Hdr: header, A: v4})
			}
		}
	case dns.TypeAAAA:
		header.Rrtype = dns.TypeAAAA
		for _, address := range i.hosts[name] {
			if address.To4() == nil {
				answer.Answer = append(answer.Answer, &dns.AAAA{Hdr: header, AAAA: address})
			}
		}
	}
	if len(answer.Answer) == 0 && len(i.hosts[name]) == 0 {
		answer.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(answer) // who asked is gone; the asker's timeout tells
}
