package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/internal/localcluster/zone"
)

// domain is what `berth domains:add --json` says of a host.
type domain struct {
	Host, Display string
	Owned, Ready  bool
	Proof         struct{ Record, Text, URL, Answer string }
	Conditions    []struct{ Type, Status, Reason, Message string }
}

// addDomain adds a host and gives the proof it asks for.
func (s *stand) addDomain(t *testing.T, tenant string, args ...string) domain {
	t.Helper()
	var added domain
	out := s.berth(t, append([]string{"domains:add", "--json", "-t", tenant}, args...)...)
	decode(t, out, &added)
	if added.Proof.Record == "" || added.Proof.Text == "" {
		t.Fatalf("domains:add does not say what to set: %s", out)
	}
	return added
}

// prove sets the record that a domain asks for and has it looked at.
func (s *stand) prove(t *testing.T, tenant string, d domain) {
	t.Helper()
	s.setTXT(t, d.Proof.Record, d.Proof.Text)
	s.berth(t, "domains:check", d.Host, "-t", tenant)
}

// setTXT gives a name one TXT record in the instance's zone, in place of what it had.
func (s *stand) setTXT(t *testing.T, name, text string) {
	t.Helper()
	s.setRecords(t, map[string]string{name: fmt.Sprintf("TXT %q", text)})
}

// setRecords gives names one record each in the instance's zone.
func (s *stand) setRecords(t *testing.T, records map[string]string) {
	t.Helper()
	if err := zone.Set(s.up.ZoneFile, records); err != nil {
		t.Fatal(err)
	}
}

// nodeAddress is the address of the instance's node, inside.
func (s *stand) nodeAddress(t *testing.T) string {
	t.Helper()
	var nodes corev1.NodeList
	if err := s.host.List(t.Context(), &nodes); err != nil {
		t.Fatal(err)
	}
	for _, address := range nodes.Items[0].Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}
	t.Fatal("the node has no address")
	return ""
}

// edgeAddress is the address of the edge's Service, inside.
func (s *stand) edgeAddress(t *testing.T) string {
	t.Helper()
	var service corev1.Service
	if err := s.host.Get(t.Context(), client.ObjectKey{Namespace: "berth-system", Name: "berth-router"}, &service); err != nil {
		t.Fatal(err)
	}
	return service.Spec.ClusterIP
}
