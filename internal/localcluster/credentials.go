package localcluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// saveAccess writes the edge's certificate and a configuration of the command line that
// speaks for the operator.
func (i *Instance) saveAccess(ctx context.Context, c client.Client, ports Ports) error {
	var ca, token corev1.Secret
	if err := c.Get(ctx, client.ObjectKey{Namespace: SystemNamespace, Name: "berth-edge-ca"}, &ca); err != nil {
		return fmt.Errorf("reading the edge's certificate: %w", err)
	}
	if err := c.Get(ctx, client.ObjectKey{Namespace: SystemNamespace, Name: "berth-operator-token"}, &token); err != nil {
		return fmt.Errorf("reading the operator's token: %w", err)
	}
	if err := writeFile(i.EdgeCA(), ca.Data["tls.crt"], 0o644); err != nil {
		return err
	}
	return writeJSON(i.CLIConfig(), map[string]string{
		"url":    fmt.Sprintf("https://api.%s:%d", Domain, ports.HTTPS),
		"token":  string(token.Data["token"]),
		"caFile": i.EdgeCA(),
	})
}
