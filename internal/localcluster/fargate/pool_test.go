package fargate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"github.com/berth-dev/berth/internal/kubetest"
)

// These tests run against a real API server, whose webhook calls reach the pool.

// pair is a certificate for 127.0.0.1 that is its own authority.
func pair(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// newPool makes a pool for pods of one namespace of the test's own.
func newPool(t *testing.T, change func(*Options)) (*Pool, string) {
	t.Helper()
	env := kubetest.Start(t)
	namespace := env.Namespace(t)
	certificate, ca := pair(t)
	options := Options{
		Profile:  Profile{Name: "test", Namespace: namespace, Labels: Tenants.Labels},
		NodeName: namespace, Address: "127.0.0.1:0", Certificate: certificate, CA: ca, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&options)
	}
	pool, err := New(env.Config, options)
	if err != nil {
		t.Fatal(err)
	}
	return pool, namespace
}

// run serves the pool until the test ends.
func (p *Pool) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		if err := Remove(ctx, p.client); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the pool ended with: %v", err)
		}
	})
	select {
	case <-p.Ready():
	case err := <-ended:
		t.Fatalf("the pool did not start: %v", err)
	}
	p.awaitWebhook(t)
}

// awaitWebhook returns when the API server asks this pool's webhook, of which it hears by a
// watch.
func (p *Pool) awaitWebhook(t *testing.T) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for range 1000 {
		made, err := p.client.CoreV1().Pods(p.options.Profile.Namespace).Create(t.Context(), plain(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && made.Labels[ProfileLabel] != "" {
			return
		}
		<-again.C
	}
	t.Fatal("the API server does not ask the webhook")
}

func makePod(t *testing.T, client kubernetes.Interface, namespace string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	made, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func read(t *testing.T, p *Pool, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	now, err := p.client.CoreV1().Pods(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// node makes the pool's node with room for so much.
func (p *Pool) node(t *testing.T, cpu, memory string) {
	t.Helper()
	client, name := p.client, p.options.NodeName
	made, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.CoreV1().Nodes().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	room := list(cpu, memory)
	room[corev1.ResourcePods] = *resource.NewQuantity(10, resource.DecimalSI)
	made.Status.Allocatable, made.Status.Capacity = room, room
	if _, err := client.CoreV1().Nodes().UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func groupPolicyNamed(t *testing.T, p *Pool, namespace, name string, spec map[string]any) {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "vpcresources.k8s.aws/v1beta1", "kind": "SecurityGroupPolicy",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
	if _, err := p.dynamic.Resource(policies).Namespace(namespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func ids(names ...any) map[string]any { return map[string]any{"groupIds": names} }
