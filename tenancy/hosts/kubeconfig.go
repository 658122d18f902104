package hosts

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

const (
	// tokenPatience is how long Kubernetes is given to fill a Secret with a token.
	tokenPatience = time.Minute
	lookAgain     = 200 * time.Millisecond
)

// makeKubeconfigs waits for the tokens and writes the kubeconfigs of controller and edge.
func (j *Joined) makeKubeconfigs(ctx context.Context, c client.Client, management *rest.Config) error {
	authority := j.options.CABundle
	if len(authority) == 0 {
		ours := rest.CopyConfig(management)
		if err := rest.LoadTLSFiles(ours); err != nil {
			return fmt.Errorf("reading what verifies the management cluster: %w", err)
		}
		authority = ours.CAData // without any, the system's roots verify it
	}
	for account, into := range map[string]*[]byte{
		tenancy.HostAccount(j.options.Name):       &j.ControllerKubeconfig,
		tenancy.HostRouterAccount(j.options.Name): &j.RouterKubeconfig,
	} {
		token, err := awaitToken(ctx, c, account)
		if err != nil {
			return err
		}
		if *into, err = kubeconfig(j.options, account, authority, token); err != nil {
			return err
		}
	}
	return nil
}

// awaitToken reads the token of an account once Kubernetes has made it.
func awaitToken(ctx context.Context, c client.Client, account string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenPatience)
	defer cancel()
	var token string
	err := wait.PollUntilContextCancel(ctx, lookAgain, true, func(ctx context.Context) (bool, error) {
		secret := &corev1.Secret{}
		err := c.Get(ctx, client.ObjectKey{Namespace: tenancy.SystemNamespace, Name: account}, secret)
		token = string(secret.Data[corev1.ServiceAccountTokenKey])
		return token != "", client.IgnoreNotFound(err)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return "", errs.New(errs.Unavailable, "", "the management cluster has made no token in Secret "+account+" of namespace "+tenancy.SystemNamespace,
			"see whether its kube-controller-manager runs, and join again")
	}
	if err != nil {
		return "", fmt.Errorf("reading Secret %s: %w", account, err)
	}
	return token, nil
}

// kubeconfig is the way of one account to the management cluster.
func kubeconfig(o Options, account string, authority []byte, token string) ([]byte, error) {
	const management = "management"
	return clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{management: {
			Server: o.Server, TLSServerName: o.TLSServerName, CertificateAuthorityData: authority,
		}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{account: {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{management: {Cluster: management, AuthInfo: account, Namespace: tenancy.SystemNamespace}},
		CurrentContext: management,
	})
}
