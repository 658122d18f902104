package clusters

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Reach gives a question for host clusters whose API server is the one config leads to,
// the controller's own: whether it is ready. It is not asked twice within one question.
func Reach(config *rest.Config) (func(ctx context.Context, host *v1alpha1.HostCluster) error, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for the host cluster: %w", err)
	}
	return func(ctx context.Context, host *v1alpha1.HostCluster) error {
		if err := clients.RESTClient().Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).Error(); err != nil {
			return fmt.Errorf("asking the API server of %s whether it is ready: %w", host.Name, err)
		}
		return nil
	}, nil
}
