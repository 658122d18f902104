package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
)

// Annotations on a Release, for this reconciler alone.
const (
	// annotationApplied is the hash of what was last applied for this release. No
	// other release of the app has one at the same time.
	annotationApplied = "berth.dev/applied"
	// annotationAwaySince is when the tenant's API server stopped answering, and
	// annotationAway how long it did not in all.
	annotationAwaySince = "berth.dev/away-since"
	annotationAway      = "berth.dev/away"

	// withdrawn stands for a hash when no release is left to run.
	withdrawn = "withdrawn"
)

// work is one look at an app.
type work struct {
	app      *v1alpha1.App
	place    *place.Place
	releases []v1alpha1.Release
	// target is nil when every release has failed.
	target    *v1alpha1.Release
	revisions map[string]int64
	formation []v1alpha1.ComponentFormation
	// hash covers all that the target's objects depend on.
	hash string
}

// look gathers what there is to do; it gives nil when there is no release yet or the
// app's own reconciler must look first.
func (r *Reconciler) look(ctx context.Context, reader client.Reader, app *v1alpha1.App) (*work, error) {
	if !granted(app) {
		return nil, nil
	}
	var found v1alpha1.ReleaseList
	err := reader.List(ctx, &found, client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.LabelApp: app.Name})
	if err != nil {
		return nil, fmt.Errorf("listing releases: %w", err)
	}
	if len(found.Items) == 0 {
		return nil, nil
	}
	apps.NewestFirst(found.Items)
	w := &work{app: app, releases: found.Items, target: apps.Target(found.Items)}
	// Where a tenant runs changes rarely, and with an event of its own.
	if w.place, err = place.Find(ctx, r.Client, app.Namespace); err != nil {
		return nil, err
	}
	w.hash = withdrawn
	if w.target != nil {
		w.revisions = apps.Revisions(w.target, w.releases)
		w.formation = apps.Granted(app, &w.target.Spec.Template)
		w.hash = w.inputs()
	}
	return w, nil
}

// granted says whether the app's reconciler has judged the present spec against the
// plan; until then nobody knows what may run.
func granted(app *v1alpha1.App) bool {
	for _, condition := range app.Status.Conditions {
		if condition.Type == v1alpha1.ConditionWithinPlan {
			return condition.ObservedGeneration >= app.Generation && condition.Status != metav1.ConditionUnknown
		}
	}
	return false
}

// beside are the templates of releases whose processes may still run beside the target's:
// of what serves until the target does, and of all that came after it.
func (w *work) beside() []*v1alpha1.AppTemplate {
	since := w.target.Spec.Version
	if !apps.Proven(w.target) {
		since = 0
		if live := apps.Live(w.releases); live != nil {
			since = live.Spec.Version
		}
	}
	var templates []*v1alpha1.AppTemplate
	for i := range w.releases {
		if release := &w.releases[i]; release.Name != w.target.Name && release.Spec.Version >= since {
			templates = append(templates, &release.Spec.Template)
		}
	}
	return templates
}

// inputs hashes what the objects depend on. The rendering itself is left out: a new
// version of the platform must not restart every process there is.
func (w *work) inputs() string {
	text, err := json.Marshal(struct {
		Cluster    string
		Version    int64
		Revisions  map[string]int64
		Formation  []v1alpha1.ComponentFormation
		Overcommit int32
		Restarted  *metav1.Time
	}{w.place.Cluster.Name, w.target.Spec.Version, w.revisions, w.formation, w.place.Host.Spec.CPUOvercommit, w.app.Spec.RestartedAt})
	if err != nil {
		panic(fmt.Sprintf("hashing plain data: %v", err)) // cannot happen: nothing in it has a marshaller that fails
	}
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:8])
}

// holder is the release whose annotation tells what was applied last.
func (w *work) holder() *v1alpha1.Release {
	if w.target != nil {
		return w.target
	}
	return &w.releases[0]
}

// settled says whether all is as it should be.
func (w *work) settled() bool {
	if w.holder().Annotations[annotationApplied] != w.hash {
		return false
	}
	for i := range w.releases {
		release := &w.releases[i]
		if next, changes := w.retired(release); changes && next != release.Status.Phase {
			return false
		}
	}
	return w.target == nil || w.target.Status.Phase == v1alpha1.ReleaseLive
}

// retired is the phase of a release that is not the target.
func (w *work) retired(release *v1alpha1.Release) (phase v1alpha1.ReleasePhase, changes bool) {
	switch {
	case w.target == nil || release.Name == w.target.Name || release.Status.Phase == v1alpha1.ReleaseFailed:
		return "", false
	case apps.Proven(release) && !apps.Proven(w.target):
		// It serves until the target does.
		return "", false
	default:
		return v1alpha1.ReleaseSuperseded, true
	}
}

// retire writes what becomes of the other releases, and takes the mark of what was
// applied off them before anything else is applied: whoever is killed then knows
// that what runs may be a mixture.
func (r *Reconciler) retire(ctx context.Context, work *work) error {
	for i := range work.releases {
		release := &work.releases[i]
		if phase, changes := work.retired(release); changes && phase != release.Status.Phase {
			if err := r.writeStatus(ctx, release, superseded); err != nil {
				return err
			}
		}
		if release.Name != work.holder().Name && release.Annotations[annotationApplied] != "" {
			if err := r.annotate(ctx, release, annotationApplied, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// start notes when the rollout begins, before it does. One that is said to begin in the
// future was noted by a clock that has been set back since, while nobody watched the rollout,
// and would have all that time.
func (r *Reconciler) start(ctx context.Context, work *work) error {
	if work.target.Status.Phase == v1alpha1.ReleaseRollingOut && r.lasted(work) > -clusterTimeout {
		return nil
	}
	return r.startClock(ctx, work)
}

// restartClock gives a release its whole time when it is applied long after its rollout
// began: again, for another formation, or by a controller that was away meanwhile.
func (r *Reconciler) restartClock(ctx context.Context, work *work) error {
	if r.lasted(work) < clusterTimeout {
		return nil
	}
	return r.startClock(ctx, work)
}

// startClock begins to count a release's time. What was taken off an earlier count, of the
// time in which the tenant's API server was away, is no part of this one.
func (r *Reconciler) startClock(ctx context.Context, work *work) error {
	target := work.target
	if target.Annotations[annotationAway] != "" || target.Annotations[annotationAwaySince] != "" {
		if err := r.annotate(ctx, target, annotationAway, "", annotationAwaySince, ""); err != nil {
			return err
		}
	}
	r.counts.forget(client.ObjectKeyFromObject(work.app))
	return r.writeStatus(ctx, target, rollingOut(r.now()))
}

// timeLeft is how long the target may still take, not counting the time in which
// the tenant's API server did not answer.
func (r *Reconciler) timeLeft(work *work) (left, timeout time.Duration) {
	timeout = time.Duration(work.app.Spec.DeployTimeoutSeconds) * time.Second
	if timeout == 0 {
		timeout = defaultTimeout
	}
	away, _ := time.ParseDuration(work.target.Annotations[annotationAway])
	return timeout + away - r.lasted(work), timeout
}

func (r *Reconciler) now() metav1.Time { return metav1.NewTime(r.Clock.Now().Truncate(time.Second)) }

// annotate sets annotations given as pairs; an empty value removes one.
func (r *Reconciler) annotate(ctx context.Context, release *v1alpha1.Release, pairs ...string) error {
	before := release.DeepCopy()
	if release.Annotations == nil {
		release.Annotations = map[string]string{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			delete(release.Annotations, pairs[i])
		} else {
			release.Annotations[pairs[i]] = pairs[i+1]
		}
	}
	if err := r.Client.Patch(ctx, release, client.MergeFrom(before), client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("noting progress of %s: %w", release.Name, err)
	}
	return nil
}

// wait asks for another look while a rollout goes on. Events of the processes on the
// host usually come first.
func wait(message string) error {
	return steps.Wait(v1alpha1.ReasonProgressing, message, time.Second)
}
