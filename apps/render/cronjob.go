package render

import (
	"cmp"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

const (
	// lateSeconds is how long after it was due a run may still begin: time for a control
	// plane to come back. What is later is left out.
	lateSeconds = 120
	// Of the runs that ended, three are kept to read their output, and none for longer than
	// a week. Each keeps a pod on the host.
	keptSuccesses = 1
	keptFailures  = 2
	keptSeconds   = 7 * 24 * 3600

	utc = "Etc/UTC"
)

// cronJob runs a component by the clock, one run at a time, each tried once: whether
// something half done may be done again only its author knows.
func cronJob(in Input, component *v1alpha1.Component, formation v1alpha1.ComponentFormation) *batchv1.CronJob {
	clock := component.Cron
	run := podTemplate(in, component, formation)
	run.Spec.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.CronJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "CronJob"},
		ObjectMeta: objectMeta(in.App.Name, component.Name, component.Name),
		Spec: batchv1.CronJobSpec{
			Schedule:                   clock.Schedule,
			TimeZone:                   new(cmp.Or(clock.TimeZone, utc)),
			ConcurrencyPolicy:          batchv1.ForbidConcurrent,
			StartingDeadlineSeconds:    new(int64(lateSeconds)),
			Suspend:                    new(formation.Count == 0),
			SuccessfulJobsHistoryLimit: new(int32(keptSuccesses)),
			FailedJobsHistoryLimit:     new(int32(keptFailures)),
			JobTemplate: batchv1.JobTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: managed(in.App.Name, component.Name)},
				Spec: batchv1.JobSpec{
					ActiveDeadlineSeconds:   new(int64(apps.RunTimeout(clock).Seconds())),
					BackoffLimit:            new(int32(0)),
					TTLSecondsAfterFinished: new(int32(keptSeconds)),
					Template:                run,
				},
			},
		},
	}
}
