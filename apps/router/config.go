package router

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/berth-dev/berth/apps/router/access"
	"github.com/berth-dev/berth/apps/router/table"
)

// Limits of the edge. They suit slow apps and slow clients and cut off what only holds
// a connection.
const (
	headerTimeout       = 10 * time.Second
	keepAliveTimeout    = 2 * time.Minute
	stalledTimeout      = 15 * time.Minute
	maxHeaderBytes      = 64 << 10
	dialTimeout         = 2 * time.Second
	appAnswerTimeout    = 5 * time.Minute
	proxyHeaderTimeout  = 5 * time.Second
	retryFor            = 5 * time.Second
	retryInterval       = 50 * time.Millisecond
	retries             = 8
	upstreamIdlePerHost = 64
	// upstreamIdle is shorter than what common app servers keep a silent connection
	// for (Node.js: 5s), so that it is the edge that closes it and no request meets a
	// connection that is just being closed.
	upstreamIdle = 4 * time.Second
	// peerIdle is shorter than what other edges keep a silent connection for.
	peerIdle = time.Minute
	// The issuing certificate is renewed when a fifth of its life is left, so six days
	// remain at least: a leaf never outlives it.
	issuerLifetime = 30 * 24 * time.Hour
	leafLifetime   = 72 * time.Hour
)

// Config is what an Edge is started with.
type Config struct {
	// HTTPSAddress, HTTPAddress and TCPAddress to listen on. TCPAddress may be empty.
	HTTPSAddress string
	HTTPAddress  string
	TCPAddress   string
	// PublicHTTPSPort is the port people reach HTTPSAddress by; redirects name it.
	PublicHTTPSPort int
	// CACertFile and CAKeyFile are PEM files of the authority that signs certificates.
	CACertFile string
	CAKeyFile  string
	// StorageDir keeps certificates and their keys between restarts.
	StorageDir string
	// TenantServerName is the name tenants' API servers are verified by.
	TenantServerName string
	// DrainTimeout is how long a shutdown waits for answers that have begun.
	DrainTimeout time.Duration
	// ProxyProtocolCIDRs are the load balancers that say by the PROXY protocol whose
	// connection they pass on. From anywhere else such a header is no valid request.
	ProxyProtocolCIDRs []string
	// Access takes a line for every request of an app; nil takes none.
	Access *access.Log
}

// Indices of the TLS policies: other edges' connections, and everybody else's.
const (
	peerPolicy = iota
	everyPolicy
)

type object = map[string]any

// caddyConfig is Caddy's whole configuration.
func (c Config) caddyConfig(peerName string) ([]byte, error) {
	storage, err := c.storage()
	if err != nil {
		return nil, err
	}
	off := false
	return json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": &off}},
		"storage": object{"module": "file_system", "root": storage},
		"logging": object{"logs": object{"default": object{
			"level": "ERROR",
			// For each request the proxy makes a logger that has all its headers written
			// out already. It says little that we do not say ourselves, and that costs
			// a twentieth of all the edge does.
			"exclude":  []string{"http.handlers.reverse_proxy"},
			"sampling": object{"interval": time.Second, "first": 20, "thereafter": 1000},
		}}},
		"apps": object{
			"pki": object{"certificate_authorities": object{caID: object{
				"name":                     "Berth edge",
				"intermediate_common_name": "Berth edge issuer",
				"intermediate_lifetime":    issuerLifetime,
				"install_trust":            &off,
				"root": object{
					"certificate": c.CACertFile, "private_key": c.CAKeyFile, "format": "pem_file",
				},
			}}},
			"tls":  object{"disable_ocsp_stapling": true, "disable_storage_check": true},
			"http": c.httpApp(peerName),
			appID:  object{},
		},
	})
}

// storage is a folder of its own for each authority: a certificate kept from before
// the authority was replaced would chain to one that nobody trusts any more.
func (c Config) storage() (string, error) {
	pem, err := os.ReadFile(c.CACertFile)
	if err != nil {
		return "", fmt.Errorf("reading the edge's authority: %w", err)
	}
	sum := sha256.Sum256(pem)
	return filepath.Join(c.StorageDir, hex.EncodeToString(sum[:8])), nil
}

func (c Config) httpApp(peerName string) object {
	return object{
		"grace_period": c.DrainTimeout,
		"servers": object{
			httpsServer: c.server(c.HTTPSAddress, []string{"h1", "h2"}, object{
				"tls_connection_policies": []object{
					peerPolicy:  {"match": object{"sni": []string{peerName}}, "alpn": []string{"http/1.1"}},
					everyPolicy: {},
				},
				"routes": []object{
					{"handle": []object{{"handler": "berth"}}},
					{
						"match":    []object{{"berth": object{"class": table.ClassKubernetes}}},
						"handle":   []object{kubernetesProxy()},
						"terminal": true,
					},
					{"handle": []object{appProxy()}},
				},
			}),
			httpServer: c.server(c.HTTPAddress, []string{"h1"}, object{
				"routes": []object{{"handle": []object{{"handler": "berth_redirect"}}}},
			}),
		},
	}
}

// server is what both listeners have in common.
func (c Config) server(address string, protocols []string, extra object) object {
	s := object{
		"listen":              []string{address},
		"protocols":           protocols,
		"automatic_https":     object{"disable": true},
		"read_header_timeout": headerTimeout,
		"idle_timeout":        keepAliveTimeout,
		"read_idle_timeout":   stalledTimeout,
		"write_idle_timeout":  stalledTimeout,
		"max_header_bytes":    maxHeaderBytes,
	}
	if len(c.ProxyProtocolCIDRs) > 0 {
		s["listener_wrappers"] = []object{
			{
				"wrapper": "proxy_protocol", "allow": c.ProxyProtocolCIDRs,
				"fallback_policy": "SKIP", "timeout": proxyHeaderTimeout,
			},
			{"wrapper": "tls"},
		}
	}
	for k, v := range extra {
		s[k] = v
	}
	return s
}

// appProxy proxies to components and to the portal.
func appProxy() object {
	return object{
		"handler":           "reverse_proxy",
		"dynamic_upstreams": object{"source": "berth"},
		"load_balancing":    loadBalancing(),
		"transport":         object{"protocol": "berth_app"},
	}
}

// kubernetesProxy proxies to tenants' API servers: a watch may be silent for hours and
// every event must pass at once.
func kubernetesProxy() object {
	return object{
		"handler":           "reverse_proxy",
		"dynamic_upstreams": object{"source": "berth"},
		"load_balancing":    loadBalancing(),
		"flush_interval":    -1,
		"transport":         object{"protocol": "berth_kubernetes"},
	}
}

// loadBalancing leaves the choice to our upstream source, which names one endpoint per
// attempt. Caddy retries a request whose connection could not be made, and beyond that
// only what retry_match matches: no proxied request is of the unknown class, so none.
func loadBalancing() object {
	return object{
		"selection_policy": object{"policy": "first"},
		"retries":          retries,
		"try_duration":     retryFor,
		"try_interval":     retryInterval,
		"retry_match":      []object{{"berth": object{"class": table.ClassUnknown}}},
	}
}
