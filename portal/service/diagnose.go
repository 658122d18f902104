package service

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

const (
	// lookTimeout bounds looking at what runs, so that an answer comes in any case.
	lookTimeout = 20 * time.Second
	// troubledProcesses and troubledLines bound the output that a diagnosis reads and shows.
	troubledProcesses = 5
	troubledLines     = 20
	// shownLine bounds one line of it, in bytes.
	shownLine = 500
)

// Diagnose explains how an app is doing. What cannot be looked at now is a finding, not an
// error.
func (s *Service) Diagnose(ctx context.Context, tenant, name string) (*apps.Diagnosis, error) {
	app, err := s.app(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	c := apps.Case{App: app, Now: s.Clock.Now()}
	if c.Releases, err = s.Releases(ctx, tenant, name); err != nil {
		return nil, err
	}
	if len(c.Releases) > 0 {
		if err := s.variables(ctx, tenant, &c); err != nil {
			return nil, err
		}
		if c.Workloads, err = s.workloads(ctx, tenant, app, serving(c.Releases)); err != nil {
			if errs.CodeOf(err) != errs.Unavailable {
				return nil, err
			}
			c.Away = true
		}
	}
	out := apps.Diagnose(c)
	return &out, nil
}

// serving is the release whose processes run: the live one, else the newest.
func serving(releases []v1alpha1.Release) *v1alpha1.Release {
	if live := apps.Live(releases); live != nil {
		return live
	}
	return &releases[0]
}

// variables tells which variables the newest release sets and what it changed of the last
// good one. Of secrets no value leaves this function.
func (s *Service) variables(ctx context.Context, tenant string, c *apps.Case) error {
	compare := &configs{service: s, tenant: tenant, read: map[string]map[string][]byte{}}
	newest := &c.Releases[0].Spec.Template
	secrets, err := compare.secrets(ctx, newest.ConfigSecret)
	if err != nil {
		return err
	}
	c.Variables = slices.Concat(slices.Collect(maps.Keys(newest.Config)), slices.Collect(maps.Keys(secrets)))
	good := apps.LastGood(c.Releases)
	if good == nil {
		return nil
	}
	c.Changes = apps.TemplateChanges(&good.Spec.Template, newest)
	changes, _, err := compare.compare(ctx, &good.Spec.Template, newest)
	for _, change := range changes {
		if change.Secret {
			c.Changes = append(c.Changes, apps.TemplateChange{Field: "secrets." + change.Key, What: change.What})
		}
	}
	return err
}

// workloads looks at what runs of a release.
func (s *Service) workloads(ctx context.Context, tenant string, app *v1alpha1.App, release *v1alpha1.Release) ([]apps.Workload, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	clientset, _, err := s.cluster(ctx, tenant, app.Name)
	if err != nil {
		return nil, err
	}
	seen, err := look(ctx, clientset, app.Name)
	if err != nil {
		return nil, err
	}
	template := &release.Spec.Template
	formation := apps.Granted(app, template)
	out := make([]apps.Workload, len(template.Components))
	for i := range template.Components {
		out[i] = seen.workload(template.Components[i], formation[i])
	}
	s.readTroubled(ctx, clientset, app.Name, out)
	return out, nil
}

// sight is all that an app has where it runs.
type sight struct {
	pods        []corev1.Pod
	events      []corev1.Event
	deployments []appsv1.Deployment
	jobs        []batchv1.Job
}

func look(ctx context.Context, clientset kubernetes.Interface, app string) (*sight, error) {
	opts := metav1.ListOptions{LabelSelector: v1alpha1.LabelApp + "=" + app + ",!" + v1alpha1.LabelRun}
	pods, err := clientset.CoreV1().Pods(app).List(ctx, opts)
	if err != nil {
		return nil, reach(err)
	}
	deployments, err := clientset.AppsV1().Deployments(app).List(ctx, opts)
	if err != nil {
		return nil, reach(err)
	}
	jobs, err := clientset.BatchV1().Jobs(app).List(ctx, opts)
	if err != nil {
		return nil, reach(err)
	}
	events, err := clientset.CoreV1().Events(app).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, reach(err)
	}
	slices.SortStableFunc(events.Items, func(a, b corev1.Event) int { return apps.EventTime(&a).Compare(apps.EventTime(&b)) })
	return &sight{pods: pods.Items, events: events.Items, deployments: deployments.Items, jobs: jobs.Items}, nil
}

// workload is what belongs to one component.
func (s *sight) workload(component v1alpha1.Component, formation v1alpha1.ComponentFormation) apps.Workload {
	own := func(labels map[string]string) bool { return labels[v1alpha1.LabelComponent] == component.Name }
	w := apps.Workload{Rollout: apps.Rollout{Component: component, Formation: formation, Events: s.events}, Output: map[string][]string{}}
	for i := range s.deployments {
		if own(s.deployments[i].Labels) {
			w.Deployment = &s.deployments[i]
		}
	}
	w.Pods = slices.DeleteFunc(slices.Clone(s.pods), func(p corev1.Pod) bool { return !own(p.Labels) })
	w.Jobs = slices.DeleteFunc(slices.Clone(s.jobs), func(j batchv1.Job) bool { return !own(j.Labels) })
	return w
}

// readTroubled reads the end of what processes that are not well wrote. It is a help: one
// that cannot be read is left out.
func (s *Service) readTroubled(ctx context.Context, clientset kubernetes.Interface, namespace string, workloads []apps.Workload) {
	var reading sync.WaitGroup
	var mu sync.Mutex
	left := troubledProcesses
	for i := range workloads {
		w := &workloads[i]
		for k := range w.Pods {
			pod := &w.Pods[k]
			container, previous := w.Troubled(pod, s.Clock.Now())
			if container == "" || left == 0 {
				continue
			}
			left--
			reading.Go(func() {
				lines := lastLines(ctx, clientset, namespace, pod.Name, container, previous)
				mu.Lock()
				defer mu.Unlock()
				w.Output[pod.Name] = lines
			})
		}
	}
	reading.Wait()
}

func lastLines(ctx context.Context, clientset kubernetes.Interface, namespace, pod, container string, previous bool) []string {
	opts := &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: new(int64(troubledLines)), LimitBytes: new(int64(maxLine))}
	stream, err := clientset.CoreV1().Pods(namespace).GetLogs(pod, opts).Stream(ctx)
	if err != nil {
		return nil
	}
	defer stream.Close()
	var lines []string
	_ = eachLine(stream, func(line string) error { // what came before a cut is worth showing
		lines = append(lines, clip(line, shownLine))
		return nil
	})
	return lines
}
