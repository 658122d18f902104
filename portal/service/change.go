package service

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/appfile"
	"github.com/berth-dev/berth/internal/errs"
)

// Change is what came of changing an app.
type Change struct {
	App *v1alpha1.App
	// Changed is false when the app was like that already; nothing was written then.
	Changed bool
	DryRun  bool
	Fields  []appfile.Change
	// OCUs the tenant uses with the change, and its plan's limit.
	OCUs, PlanOCUs int32
}

// edit is one change of an app's spec, judged and written as a whole.
type edit struct {
	tenant, app string
	// reason becomes the summary of the release, if one comes of it.
	reason string
	// create makes the app if there is none.
	create bool
	// dryRun judges and compares but writes nothing.
	dryRun bool
	// apply changes the app. It may run several times, and writes nothing.
	apply func(*v1alpha1.App) error
	// prepare writes what the app is going to name, once nothing is left to refuse.
	prepare func() error
}

// do makes an edit: read, change, judge, compare-and-swap.
func (s *Service) do(ctx context.Context, e edit) (*Change, error) {
	tenant, err := s.liveTenant(ctx, e.tenant)
	if err != nil {
		return nil, err
	}
	var out *Change
	err = retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		out, err = s.attempt(ctx, tenant, e)
		return err
	})
	return out, translate(err)
}

func (s *Service) attempt(ctx context.Context, tenant *v1alpha1.Tenant, e edit) (*Change, error) {
	app, err := s.app(ctx, e.tenant, e.app)
	missing := errs.CodeOf(err) == errs.NotFound && err != nil
	switch {
	case missing && (e.create || e.dryRun):
		app = newApp(e.tenant, e.app)
	case err != nil:
		return nil, err
	case !app.DeletionTimestamp.IsZero():
		return nil, errs.New(errs.Conflict, "app", "the app "+quote(e.app)+" is being deleted", "Wait until it is gone: berth apps --tenant "+e.tenant)
	}
	before := app.DeepCopy()
	if err := e.apply(app); err != nil {
		return nil, err
	}
	out := &Change{App: app, DryRun: e.dryRun}
	if out.OCUs, out.PlanOCUs, err = s.judge(ctx, tenant, before, app); err != nil {
		return nil, err
	}
	out.Fields = appfile.Diff(before, app)
	settled := app.DeepCopy()
	if !missing {
		// The API server fills in defaults: only what it would store can be compared.
		if err := s.write(ctx, false, true, settled); err != nil {
			return nil, err
		}
	}
	if err := e.prepared(); err != nil {
		return nil, err
	}
	if !missing && equality.Semantic.DeepEqual(before.Spec, settled.Spec) {
		return out, nil
	}
	out.Changed = true
	app.Spec.Reason = clip(e.reason, 256)
	return out, s.write(ctx, missing, e.dryRun, app)
}

// prepared runs prepare, if there is one and this is no dry run. What it writes may be
// missing although the app names it already, so it runs for an app that stays as it is.
func (e *edit) prepared() error {
	if e.prepare == nil || e.dryRun {
		return nil
	}
	return e.prepare()
}

// write stores the app; a dry run asks the API server for its opinion only.
func (s *Service) write(ctx context.Context, create, dryRun bool, app *v1alpha1.App) error {
	if create {
		var opts []client.CreateOption
		if dryRun {
			opts = append(opts, client.DryRunAll)
		}
		err := s.Client.Create(ctx, app, opts...)
		if apierrors.IsAlreadyExists(err) {
			// Somebody else made it meanwhile: read it and try again.
			return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("apps").GroupResource(), app.Name, err)
		}
		return err
	}
	var opts []client.UpdateOption
	if dryRun {
		opts = append(opts, client.DryRunAll)
	}
	return s.Client.Update(ctx, app, opts...)
}

// clip cuts a text to at most n bytes without splitting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
