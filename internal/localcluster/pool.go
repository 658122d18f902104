package localcluster

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"time"

	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/localcluster/fargate"
)

// fargateWebhook is where the API server, inside the node, asks about pods of tenants.
const fargateWebhook = "127.0.0.1:10271"

// Fargate says whether, and how, an instance treats pods of tenants as Fargate does.
type Fargate struct {
	Enabled bool `json:"enabled"`
	// StartDelay is how old a pod must be to start; 0 starts it at once.
	StartDelay time.Duration `json:"startDelay,omitempty"`
	// PatchAfter is the age at which pods are evicted, and deleted at twice that; 0 never.
	PatchAfter time.Duration `json:"patchAfter,omitempty"`
}

// Validate says what is wrong with the settings, by the names of their flags.
func (f Fargate) Validate() error {
	for flag, value := range map[string]time.Duration{"--fargate-start-delay": f.StartDelay, "--fargate-patch-after": f.PatchAfter} {
		if value < 0 {
			return errs.New(errs.Invalid, flag, fmt.Sprintf("%s is no time to wait", value), "write it as 45s or 24h")
		}
		if value > 0 && !f.Enabled {
			return errs.New(errs.Invalid, flag, "pods wait and are patched only as on Fargate", "add --fargate")
		}
	}
	return nil
}

// fargatePool makes the pool that an instance's agent runs.
func (i *Instance) fargatePool(config *rest.Config, settings Fargate, log *slog.Logger) (*fargate.Pool, error) {
	certificate, err := tls.LoadX509KeyPair(i.path("pki", "fargate.crt"), i.path("pki", "fargate.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(i.path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	return fargate.New(config, fargate.Options{
		Profile: fargate.Tenants, NodeName: nodeName, StartDelay: settings.StartDelay, PatchAfter: settings.PatchAfter,
		Address: fargateWebhook, Certificate: certificate, CA: ca, Log: log,
	})
}
