package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/steps"
)

const (
	// workers bounds how many orders are open at once. An order mostly waits: for the edge to
	// learn the answer, and for the authority to look.
	workers = 16
	// lookAgain is how often each certificate is looked at without a reason: timers do not
	// see a clock that jumps.
	lookAgain = time.Hour
)

// Options are what the reconciler works with.
type Options struct {
	// Client of the management cluster, which may read from a cache.
	Client client.Client
	// Reader of the same cluster without a cache: who does not see his own last order
	// orders once more.
	Reader client.Reader
	// Authority that certificates are ordered from; nil means that there is none.
	Authority apps.Authority
	Clock     clock.PassiveClock
	Recorder  events.EventRecorder
	// Domain whose DNS zone the authority may prove wildcards in.
	Domain string
}

// Reconciler of Certificates.
type Reconciler struct {
	Options
	metrics *collectors
	pauses  pauses
}

// New makes a Reconciler.
func New(options Options) *Reconciler {
	return &Reconciler{Options: options, metrics: newCollectors(options.Clock)}
}

// Register adds the reconciler to a manager. Of Secrets it watches those with the label
// LabelCertificate, and of them the metadata alone.
func (r *Reconciler) Register(mgr ctrl.Manager) error {
	if err := r.metrics.register(metrics.Registry); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	labelled := predicate.NewPredicateFuncs(func(object client.Object) bool {
		_, has := object.GetLabels()[v1alpha1.LabelCertificate]
		return has
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("certificate").
		For(&v1alpha1.Certificate{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.certificatesOf), builder.OnlyMetadata, builder.WithPredicates(labelled)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// certificatesOf are those whose pair a Secret holds, served or uploaded.
func (r *Reconciler) certificatesOf(ctx context.Context, secret client.Object) []ctrl.Request {
	if secret.GetNamespace() == v1alpha1.CertificateNamespace {
		return []ctrl.Request{{NamespacedName: client.ObjectKeyFromObject(secret)}}
	}
	var found v1alpha1.CertificateList
	if err := r.Client.List(ctx, &found, client.InNamespace(v1alpha1.CertificateNamespace)); err != nil {
		log.FromContext(ctx).Error(err, "listing certificates for a changed upload")
		return nil
	}
	var all []ctrl.Request
	for i := range found.Items {
		ref := found.Items[i].Spec.Uploaded
		if ref != nil && ref.Namespace == secret.GetNamespace() && ref.Name == secret.GetName() {
			all = append(all, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])})
		}
	}
	return all
}

// Reconcile brings one certificate a step further. It lasts as long as an order does.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	certificate := &v1alpha1.Certificate{}
	err := r.Reader.Get(ctx, request.NamespacedName, certificate)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, err
	}
	if err != nil || certificate.DeletionTimestamp != nil {
		// The Secret goes with it, by its owner reference.
		r.metrics.forget(request.Name)
		return ctrl.Result{}, nil
	}
	seen := &sight{}
	err = r.reconcile(ctx, certificate, seen)
	if judged := steps.Judge(err); judged.Err != nil && !errors.Is(err, errOrder) {
		// What could not be read says nothing about the certificate.
		return ctrl.Result{}, err
	}
	seen.now, seen.err = r.Clock.Now(), err
	if err := r.writeStatus(ctx, certificate, seen); err != nil {
		return ctrl.Result{}, err
	}
	r.pauses.note(certificate, seen.now)
	r.metrics.saw(certificate, seen)
	return ctrl.Result{RequeueAfter: seen.next()}, nil
}

// reconcile runs the phases.
func (r *Reconciler) reconcile(ctx context.Context, certificate *v1alpha1.Certificate, seen *sight) error {
	if want := v1alpha1.DomainName(certificate.Spec.Host); certificate.Name != want || certificate.Namespace != v1alpha1.CertificateNamespace {
		// The edge would look for its Secret elsewhere.
		return steps.Stall(v1alpha1.ReasonStalled, fmt.Errorf("a certificate for %s must be %s/%s", certificate.Spec.Host, v1alpha1.CertificateNamespace, want))
	}
	held, err := r.held(ctx, certificate)
	if err != nil {
		return err
	}
	seen.held = held
	if certificate.Spec.Uploaded != nil {
		return r.upload(ctx, certificate, seen)
	}
	return r.issue(ctx, certificate, seen)
}
