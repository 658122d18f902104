package service

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// memberTokenSeconds is how long a member's token for the tenant's cluster lives.
const memberTokenSeconds = 3600

// KubeconfigServer is the address of a tenant's API server through the edge, and the
// certificate that signs the edge's.
func (s *Service) KubeconfigServer(ctx context.Context, tenant string) (server string, ca []byte, err error) {
	t, err := s.liveTenant(ctx, tenant)
	if err != nil {
		return "", nil, err
	}
	if t.Status.VirtualCluster == "" {
		return "", nil, errs.New(errs.Unavailable, "tenant", "the tenant "+quote(tenant)+" has no cluster yet", "See how far it is with: berth tenants:info "+tenant)
	}
	if ca, err = s.EdgeCA(); err != nil {
		return "", nil, errs.Wrap(errs.Internal, err, "the edge's certificate authority cannot be read")
	}
	return tenancy.URL(tenancy.ClusterHost(t.Status.VirtualCluster, s.Domain), s.EdgePort), ca, nil
}

// MemberToken makes a token of at most one hour for a member's own account inside the
// tenant's cluster.
func (s *Service) MemberToken(ctx context.Context, tenant, account string) (*clientauthentication.ExecCredential, error) {
	if _, err := s.liveTenant(ctx, tenant); err != nil {
		return nil, err
	}
	conf, err := s.restConfig(ctx, tenant)
	if err != nil {
		return nil, err
	}
	clientset, err := kubernetes.NewForConfig(conf)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "the tenant's access is damaged")
	}
	seconds := int64(memberTokenSeconds)
	got, err := clientset.CoreV1().ServiceAccounts(tenancy.SystemNamespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return nil, reach(err)
	}
	expires := got.Status.ExpirationTimestamp
	return &clientauthentication.ExecCredential{
		TypeMeta: metav1.TypeMeta{APIVersion: clientauthentication.SchemeGroupVersion.String(), Kind: "ExecCredential"},
		Status:   &clientauthentication.ExecCredentialStatus{Token: got.Status.Token, ExpirationTimestamp: &expires},
	}, nil
}
