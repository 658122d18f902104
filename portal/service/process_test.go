package service

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

func TestTheProcessToReachIsTheNewestThatIsUp(t *testing.T) {
	k, clientset := newKubelets(t)
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.AppSpec{
		Template: &v1alpha1.AppTemplate{Components: []v1alpha1.Component{{Name: "db"}, {Name: "web"}}},
	}}
	pod := func(name, component string, minute int, ready bool) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)),
				Labels: map[string]string{v1alpha1.LabelApp: "shop", v1alpha1.LabelComponent: component},
			},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
				Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}}},
		}
	}
	leaving := pod("web-1-gone", "web", 9, true)
	leaving.DeletionTimestamp = new(metav1.Now())
	k.change(func() {
		k.pods = []corev1.Pod{
			pod("web-1-older", "web", 1, true), pod("web-1-newer", "web", 2, true), pod("web-1-young", "web", 3, false), leaving,
			pod("db-1-starts", "db", 4, false),
		}
	})
	for name, c := range map[string]struct {
		ref  ProcessRef
		want string
		code errs.Code
	}{
		"web, where none is named":            {ProcessRef{}, "web-1-newer", ""},
		"one by its name":                     {ProcessRef{Process: "web.older"}, "web-1-older", ""},
		"one that is not up, where none is":   {ProcessRef{Component: "db"}, "db-1-starts", ""},
		"none that is on its way out":         {ProcessRef{Process: "web.gone"}, "", errs.Conflict},
		"none of a component that is missing": {ProcessRef{Component: "wbe"}, "", errs.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{})
			got, err := s.process(t.Context(), clientset, app, c.ref)
			if errs.CodeOf(err) != c.code {
				t.Fatalf("got %v, want %q", err, c.code)
			}
			if err == nil && got.Name != c.want {
				t.Errorf("got %s, want %s", got.Name, c.want)
			}
		})
	}
}
