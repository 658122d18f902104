package service

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/berth-dev/berth/internal/errs"
)

func TestOnlyAddressesOfTheInternetArePublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "172.32.0.1": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true,
		"127.0.0.1": false, "::1": false, "10.96.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "fd00::1": false,
		"169.254.169.254": false, "fe80::1": false, "0.0.0.0": false, "::": false, "224.0.0.1": false, "255.255.255.255": false,
		"100.64.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "2002:a00:1::1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %t, want %t", address, got, want)
		}
	}
}

func TestTheTransportReachesMirrorsAndNothingElsePrivate(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	get := func(transport http.RoundTripper) error {
		resp, err := (&http.Client{Transport: transport}).Get(server.URL)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	if err := get(publicTransport(nil)); !errors.Is(err, errPrivate) {
		t.Errorf("a private address gave %v", err)
	}
	mirror := Mirror{Host: strings.TrimPrefix(server.URL, "http://"), Insecure: true}
	if err := get(publicTransport(map[string]Mirror{"registry.berth.internal": mirror})); err != nil {
		t.Errorf("a mirror gave %v", err)
	}
}

// Whether something listens at a private address is nobody's to learn.
func TestPrivateAddressesAllAnswerAlike(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	images := NewImages(map[string]Mirror{"registry.berth.internal": {Host: "127.0.0.1:9"}}, nil)
	open := strings.TrimPrefix(server.URL, "http://")
	var told []string
	for _, registry := range []string{open, "127.0.0.1:1"} {
		_, err := images.Resolve(t.Context(), "image", registry+"/shop/web:1")
		if errs.CodeOf(err) != errs.Unavailable || !strings.Contains(errs.As(err).Fix, "registry.berth.internal") {
			t.Errorf("%s: got %v", registry, err)
		}
		told = append(told, strings.ReplaceAll(err.Error(), registry, "R"))
	}
	if told[0] != told[1] {
		t.Errorf("an open port: %s\na closed one: %s", told[0], told[1])
	}
}
