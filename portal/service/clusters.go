package service

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/boundedhttp"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// restConfig reaches a tenant's cluster with the token of the moment.
func (s *Service) restConfig(ctx context.Context, tenant string) (*rest.Config, error) {
	secret, err := s.secret(ctx, tenant, tenancy.AccessSecret)
	if apierrors.IsNotFound(err) {
		if _, err := s.liveTenant(ctx, tenant); err != nil {
			return nil, err
		}
		return nil, errs.New(errs.Unavailable, "tenant", "the tenant "+quote(tenant)+" is still being prepared",
			"Try again in a moment; see how far it is with: berth tenants:info "+tenant)
	}
	if err != nil {
		return nil, translate(err)
	}
	t, err := s.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	conf := &rest.Config{BearerToken: string(secret.Data[tenancy.AccessKeyToken]), UserAgent: "berth-portal", QPS: -1}
	if err := s.lead(conf, t.Status.VirtualCluster, secret); err != nil {
		return nil, err
	}
	boundedhttp.ApplyToStreaming(conf)
	return conf, nil
}

// lead makes a configuration lead to a virtual cluster. The access is written by the
// controller of the cluster's host, which may be anybody's: it chooses between the two ways
// there are, and not where the portal connects.
func (s *Service) lead(conf *rest.Config, id string, access *corev1.Secret) error {
	endpoint, through := string(access.Data[tenancy.AccessKeyEndpoint]), string(access.Data[tenancy.AccessKeyThrough])
	var want string
	switch through {
	case "":
		want = s.Endpoint(id)
	case tenancy.AccessThroughEdge:
		want = tenancy.ClusterHost(id, s.Domain)
	default:
		return errs.Wrap(errs.Internal, fmt.Errorf("access through %q", through), "the tenant's access is of a kind that this portal does not know")
	}
	// The id is written by the host's controller too.
	if endpoint != want || !tenancy.IsID(id) {
		return errs.Wrap(errs.Unavailable, fmt.Errorf("the access to cluster %q leads elsewhere", id), accessRenewed)
	}
	if through == tenancy.AccessThroughEdge {
		return s.throughEdge(conf, want)
	}
	conf.Host, conf.CAData = "https://"+want, access.Data[tenancy.AccessKeyCA]
	return nil
}

const accessRenewed = "the tenant's access is being renewed: try again in a moment"

// cluster is a client of a tenant's cluster and the app in it.
func (s *Service) cluster(ctx context.Context, tenant, app string) (kubernetes.Interface, *v1alpha1.App, error) {
	a, err := s.app(ctx, tenant, app)
	if err != nil {
		return nil, nil, err
	}
	conf, err := s.restConfig(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	clientset, err := kubernetes.NewForConfig(conf)
	if err != nil {
		return nil, nil, errs.Wrap(errs.Internal, err, "the tenant's access is damaged")
	}
	return clientset, a, nil
}

// reach turns an error of a tenant's cluster into one for people.
func reach(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.ReasonForError(err) == "", apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		// No status, or not an API server's: the edge or nobody answered instead of it.
		return translateUnreachable(err)
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return errs.Wrap(errs.Unavailable, err, accessRenewed)
	}
	return translate(err)
}

func translateUnreachable(err error) error {
	if known := errs.CodeOf(err); known != errs.Internal {
		return err
	}
	return errs.Wrap(errs.Unavailable, err, "where the apps run does not answer now: try again in a moment")
}
