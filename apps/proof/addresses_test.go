package proof

import (
	"net/netip"
	"testing"
)

func TestAddressesThatAreNotPublic(t *testing.T) {
	for address, public := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "172.15.0.1": true, "172.32.0.1": true, "2606:4700::1111": true, "2a00:1450::1": true,
		"::ffff:8.8.8.8": true,
		"127.0.0.1":      false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "192.0.2.1": false, "198.18.0.1": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "2001:db8::1": false, "2002:7f00:1::": false,
		"64:ff9b::7f00:1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "2001::1": false,
	} {
		if got := New(Options{}).allowed(netip.MustParseAddr(address)); got != public {
			t.Errorf("%s: public %t", address, got)
		}
	}
	listed := New(Options{PrivateCIDRs: prefixes("0.0.0.0/0", "::/0")})
	for address, want := range map[string]bool{
		"10.0.0.1": true, "::ffff:10.0.0.1": true, "fd00::1": true,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fe80::1": false, "224.0.0.1": false, "0.0.0.0": false,
	} {
		if got := listed.allowed(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s, with everything listed: %t", address, got)
		}
	}
}
