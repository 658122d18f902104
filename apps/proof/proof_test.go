package proof_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/proof"
	"github.com/berth-dev/berth/apps/proof/prooftest"
)

const (
	host  = "shop.example.com"
	token = "the-token"
)

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func TestAHostIsProvenByItsDNSOrByWhereItLeads(t *testing.T) {
	for name, test := range map[string]struct {
		host    string
		prepare func(*prooftest.Internet)
		proven  bool
		message string
	}{
		"nothing there": {host, func(*prooftest.Internet) {}, false, "_berth.shop.example.com has no TXT record. http://shop.example.com/.well-known/berth/the-token leads to no public address."},
		"a record": {host, func(i *prooftest.Internet) {
			i.Text("_berth.shop.example.com", "berth-domain=the-token")
		}, true, "The TXT record of _berth.shop.example.com proves it."},
		"a record among others": {host, func(i *prooftest.Internet) {
			i.Text("_berth.shop.example.com", "v=spf1", "berth-domain=another", "berth-domain=the-token")
		}, true, "proves it"},
		"a wildcard's record lies at its base": {"*.example.com", func(i *prooftest.Internet) {
			i.Text("_berth.example.com", "berth-domain=the-token")
		}, true, "proves it"},
		"another token": {host, func(i *prooftest.Internet) {
			i.Text("_berth.shop.example.com", "berth-domain=another")
		}, false, "has another text"},
		"the record of the name above": {host, func(i *prooftest.Internet) {
			i.Text("_berth.example.com", "berth-domain=the-token")
		}, false, "_berth.shop.example.com has no TXT record"},
		"the token at its place": {host, func(i *prooftest.Internet) {
			i.Answer(host, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == apps.ProofPath(token) {
					says(apps.ProofText(token)+"\n")(w, r)
				}
			})
		}, true, "http://shop.example.com/.well-known/berth/the-token proves it."},
		"a site that repeats what it is asked for": {host, func(i *prooftest.Internet) {
			i.Answer(host, says(token))
		}, false, "answers with another text"},
		"another's token at its place": {host, func(i *prooftest.Internet) { i.Answer(host, says("another")) }, false, "answers with another text"},
		"the token in a page": {host, func(i *prooftest.Internet) {
			i.Answer(host, says("<p>no page "+apps.ProofText(token)+"</p>"))
		}, false, "answers with another text"},
		"the token in front of a lot": {host, func(i *prooftest.Internet) {
			i.Answer(host, says(apps.ProofText(token)+strings.Repeat(" ", 2000)+"more"))
		}, true, "proves it"},
		"an answer that is no success": {host, func(i *prooftest.Internet) {
			i.Answer(host, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				says(apps.ProofText(token))(w, r)
			})
		}, false, "answers with status 404"},
		"a redirect to the token": {host, func(i *prooftest.Internet) {
			i.Answer("other.example.com", says(apps.ProofText(token)))
			i.Answer(host, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, fmt.Sprintf("http://other.example.com:%d/", i.Port), http.StatusFound)
			})
		}, false, "redirects (status 302), which is not followed"},
		"a wildcard cannot be proven by an answer": {"*.example.com", func(i *prooftest.Internet) {
			i.Answer("*.example.com", says(apps.ProofText(token)))
			i.Answer("example.com", says(apps.ProofText(token)))
		}, false, "_berth.example.com has no TXT record."},
	} {
		t.Run(name, func(t *testing.T) {
			internet := prooftest.Start(t)
			test.prepare(internet)
			found := internet.Looker().Look(t.Context(), test.host, token)
			if found.Proven != test.proven || !strings.Contains(found.Message, test.message) {
				t.Errorf("found %+v, want proven: %t, %q", found, test.proven, test.message)
			}
			for _, asked := range internet.Asked() {
				if asked != host+apps.ProofPath(token) {
					t.Errorf("asked for %s", asked)
				}
			}
		})
	}
}

func TestOnlyPublicAddressesAreConnectedTo(t *testing.T) {
	internet := prooftest.Start(t)
	internet.Answer(host, says(apps.ProofText(token)))
	careful := proof.New(proof.Options{Resolver: internet.Resolver, Port: internet.Port})
	found := careful.Look(t.Context(), host, token)
	if found.Proven || !strings.Contains(found.Message, "leads to no public address") {
		t.Errorf("found %+v", found)
	}
	nowhere := careful.Look(t.Context(), "none.example.com", token)
	if alike := strings.ReplaceAll(nowhere.Message, "none.example.com", host); alike != found.Message {
		t.Errorf("a name inside the network is told from none:\n%s\n%s", found.Message, alike)
	}
	if asked := internet.Asked(); len(asked) > 0 {
		t.Errorf("asked for %v", asked)
	}
}

func TestWhatCannotBeAskedProvesNothing(t *testing.T) {
	internet := prooftest.Start(t)
	internet.Text("_berth."+host, apps.ProofText(token))
	nobody := proof.New(proof.Options{Resolver: "127.0.0.1:1", PrivateCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if found := nobody.Look(t.Context(), host, token); found.Proven || !strings.Contains(found.Message, "does not answer") {
		t.Errorf("found %+v", found)
	}
}
