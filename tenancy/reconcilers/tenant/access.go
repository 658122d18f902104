package tenant

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

const (
	// tokenLife is how long the portal's token is good; it is renewed when half is gone.
	tokenLife = time.Hour
	// renewEarly is how much of its life is left when a token is renewed.
	renewEarly = tokenLife / 2
	// clockLeeway is how far two clocks may be apart before a token counts as one of the
	// future.
	clockLeeway = 5 * time.Minute
	// insideTimeout is how long the tenant's API server may take: its tenant must not
	// hold up everybody else's.
	insideTimeout = 20 * time.Second
)

// giveAccess keeps a token in the management namespace with which the portal may do
// in the tenant's cluster what it must, and nothing else.
func (r *Reconciler) giveAccess(ctx context.Context, t *v1alpha1.Tenant, seen *observed) error {
	now := r.Clock.Now()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(t.Name), Name: tenancy.AccessSecret}
	if err := client.IgnoreNotFound(r.Live.Get(ctx, key, secret)); err != nil {
		return fmt.Errorf("reading the access: %w", err)
	}
	way := r.wayTo(seen.cluster)
	if left := goodFor(secret, way, now); left > renewEarly {
		seen.renewIn = left - renewEarly
		return nil
	}
	if !meta.IsStatusConditionTrue(seen.cluster.Status.Conditions, v1alpha1.ConditionControlPlaneReady) {
		// Its events lead to the next look.
		return steps.Wait(v1alpha1.ReasonWaiting, "The cluster is starting", lookAgain)
	}
	token, err := r.token(ctx, seen.cluster.Name)
	if err != nil {
		return err
	}
	expires := token.Status.ExpirationTimestamp.Time
	if err := kit.Apply(ctx, r.Client, accessSecret(key, t.Name, seen.cluster.Name, way, token)); err != nil {
		return err
	}
	seen.renewIn = max(expires.Sub(now)-renewEarly, time.Minute)
	return nil
}

// token prepares the accounts in the tenant's cluster and asks for the portal's token.
func (r *Reconciler) token(ctx context.Context, id string) (*authenticationv1.TokenRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, insideTimeout)
	defer cancel()
	inside, err := r.Clusters.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, object := range accounts() {
		if err := kit.Apply(ctx, inside, object); err != nil {
			return nil, fmt.Errorf("in the tenant's cluster: %w", err)
		}
	}
	seconds := int64(tokenLife / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: tenancy.SystemNamespace, Name: tenancy.PortalAccount,
	}}
	if err := inside.SubResource("token").Create(ctx, account, request); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, steps.Wait(v1alpha1.ReasonProgressing, "The access is being prepared", time.Second)
		}
		return nil, fmt.Errorf("asking for the portal's token: %w", err)
	}
	return request, nil
}

// wayTo is what the access says but for the token: where the API server is, and how it is
// known. From the management cluster one on another host is reached through the edge.
func (r *Reconciler) wayTo(vc *v1alpha1.VirtualCluster) map[string][]byte {
	if r.Shard.Main() {
		return map[string][]byte{
			tenancy.AccessKeyEndpoint: []byte(tenancy.Endpoint(vc.Name)),
			tenancy.AccessKeyCA:       vc.Status.CABundle,
		}
	}
	return map[string][]byte{
		tenancy.AccessKeyEndpoint: []byte(tenancy.ClusterHost(vc.Name, r.Domain)),
		tenancy.AccessKeyThrough:  []byte(tenancy.AccessThroughEdge),
	}
}

// goodFor is how long the access in a Secret is still good for a way; zero when it is not,
// or leads another way, or was made by a clock that has been set back since:
// until its time comes again, the API server refuses it.
func goodFor(secret *corev1.Secret, way map[string][]byte, now time.Time) time.Duration {
	expires, err := time.Parse(time.RFC3339, string(secret.Data[tenancy.AccessKeyExpires]))
	if err != nil || len(secret.Data[tenancy.AccessKeyToken]) == 0 {
		return 0
	}
	for _, key := range []string{tenancy.AccessKeyEndpoint, tenancy.AccessKeyCA, tenancy.AccessKeyThrough} {
		if !bytes.Equal(secret.Data[key], way[key]) {
			return 0
		}
	}
	left := max(expires.Sub(now), 0)
	if left > tokenLife+clockLeeway {
		return 0
	}
	return left
}

func accessSecret(
	key client.ObjectKey, tenant, id string, way map[string][]byte, token *authenticationv1.TokenRequest,
) *corev1.Secret {
	data := maps.Clone(way)
	data[tenancy.AccessKeyToken] = []byte(token.Status.Token)
	data[tenancy.AccessKeyExpires] = []byte(token.Status.ExpirationTimestamp.UTC().Format(time.RFC3339))
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace,
			Name:      key.Name,
			Labels: map[string]string{
				v1alpha1.LabelTenant:         tenant,
				v1alpha1.LabelVirtualCluster: id,
			},
		},
		Type: corev1.SecretTypeOpaque,
		Data: data,
	}
}
