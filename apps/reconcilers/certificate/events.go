package certificate

import "k8s.io/apimachinery/pkg/runtime"

// event tells what was done to whoever looks at the object.
func (r *Reconciler) event(about runtime.Object, kind, reason, action, note string, args ...any) {
	if r.Recorder != nil {
		r.Recorder.Eventf(about, nil, kind, reason, action, note, args...)
	}
}
