package table

import (
	"net"
	"strings"
)

// maxHost and maxLabel are the limits of DNS.
const (
	maxHost  = 253
	maxLabel = 63
)

// ParseHost turns a Host header or a TLS server name into the form the table is keyed
// by: lower case, without port and without a trailing dot. It reports false for
// anything that is not a host name, so that no odd spelling reaches a look-up. A name
// that is already in this form costs no allocation.
func ParseHost(raw string) (string, bool) {
	host, ok := withoutPort(raw)
	if !ok {
		return "", false
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > maxHost {
		return "", false
	}
	upper, label := false, 0
	for i := range len(host) {
		c := host[i]
		switch {
		case c == '.':
			if label == 0 || host[i-1] == '-' {
				return "", false
			}
			label = 0
			continue
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c == '-':
			if label == 0 {
				return "", false
			}
		default:
			return "", false
		}
		if label++; label > maxLabel {
			return "", false
		}
	}
	if label == 0 || host[len(host)-1] == '-' {
		return "", false
	}
	if upper {
		host = strings.ToLower(host)
	}
	return host, true
}

// withoutPort cuts a numeric port off. An address in brackets is no host name and is
// refused by the characters left in it.
func withoutPort(raw string) (string, bool) {
	colon := strings.IndexByte(raw, ':')
	if colon < 0 {
		return raw, true
	}
	port := raw[colon+1:]
	if len(port) > 5 {
		return "", false
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return "", false
		}
	}
	return raw[:colon], true
}

// parent is the host without its first label, empty for a single label.
func parent(host string) string {
	_, rest, _ := strings.Cut(host, ".")
	return rest
}

// tenantSuffix is what every host of a tenant ends in, with the leading dot.
func tenantSuffix(tenant, domain string) string {
	return "." + tenant + "." + domain
}

// joinAddress is host:port for addresses of both families.
func joinAddress(host, port string) string { return net.JoinHostPort(host, port) }
