package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tick is how often the state of a virtual cluster is looked at.
const tick = 50 * time.Millisecond

// probe decides when a virtual cluster is ready, the same for both sides: its API server
// answers /readyz to its administrator, and the pod of its CoreDNS is ready.
type probe struct {
	*instance
	// namespace on the host and name of the virtual cluster.
	namespace, name string

	start  time.Time
	mu     sync.Mutex
	stages map[string]int64
	client *http.Client
	url    string
}

// reached notes the first time a stage is reached.
func (p *probe) reached(stage string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, there := p.stages[stage]; !there {
		p.stages[stage] = time.Since(p.start).Milliseconds()
	}
}

func (p *probe) has(stages ...string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, stage := range stages {
		if _, there := p.stages[stage]; !there {
			return false
		}
	}
	return true
}

// times are the stages so far.
func (p *probe) times() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.stages)
}

// last is when the last stage was reached.
func (p *probe) last() int64 { return slices.Max(slices.Collect(maps.Values(p.times()))) }

// look notes what is there now and says whether all is.
func (p *probe) look(ctx context.Context) (bool, error) {
	if err := p.lookAtPods(ctx); err != nil {
		return false, err
	}
	if p.has("containers") && !p.has("api") && p.apiReady(ctx) == nil {
		p.reached("api")
	}
	return p.has("api", "dns"), nil
}

func (p *probe) lookAtPods(ctx context.Context) error {
	if p.has("pod", "containers", "dns") {
		return nil
	}
	var pods corev1.PodList
	// The cache of the API server answers: kine is left alone.
	fromCache := &client.ListOptions{Namespace: p.namespace, Raw: listFromCache}
	if err := p.host.List(ctx, &pods, fromCache); err != nil {
		return err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		switch {
		case pod.Name == p.name+"-0":
			p.reached("pod")
			if len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Running != nil {
				p.reached("containers")
			}
		case strings.HasPrefix(pod.Name, "coredns-") && podReady(pod):
			p.reached("dns")
		}
	}
	return nil
}

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// apiReady asks the virtual cluster's API server, through its Service.
func (p *probe) apiReady(ctx context.Context) error {
	if p.client == nil {
		access, err := p.access(ctx, p.namespace, p.name)
		if err != nil {
			return err
		}
		p.client = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
			TLSClientConfig: access.tls, DialContext: p.dialInside,
		}}
		p.url = "https://" + access.address + "/readyz"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// access is what an administrator of a virtual cluster has.
type access struct {
	address       string
	ca, cert, key []byte
	tls           *tls.Config
}

// localName is a name that every control plane's certificate carries.
const localName = "localhost"

// access reads a virtual cluster's own Secret and Service.
func (i *instance) access(ctx context.Context, namespace, name string) (*access, error) {
	var secret corev1.Secret
	if err := i.host.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "vc-" + name}, &secret); err != nil {
		return nil, err
	}
	var service corev1.Service
	if err := i.host.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &service); err != nil {
		return nil, err
	}
	a := &access{
		address: service.Spec.ClusterIP + ":443",
		ca:      secret.Data["certificate-authority"], cert: secret.Data["client-certificate"], key: secret.Data["client-key"],
	}
	certificate, err := tls.X509KeyPair(a.cert, a.key)
	if err != nil {
		return nil, fmt.Errorf("the access to %s: %w", name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.ca) {
		return nil, fmt.Errorf("the access to %s holds no certificate authority", name)
	}
	a.tls = &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{certificate}, ServerName: localName, MinVersion: tls.VersionTLS12,
	}
	return a, nil
}
