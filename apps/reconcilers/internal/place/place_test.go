package place_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
)

func TestAway(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	terminating := apierrors.NewForbidden(pods, "a", errors.New("it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	tests := map[string]struct {
		err  error
		want bool
	}{
		"no error":                          {nil, false},
		"the network":                       {fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), true},
		"a deadline":                        {context.DeadlineExceeded, true},
		"our own end":                       {context.Canceled, false},
		"a server that is starting":         {apierrors.NewServiceUnavailable("starting"), true},
		"a server that broke":               {apierrors.NewInternalError(errors.New("etcd")), true},
		"a server that is busy":             {apierrors.NewTooManyRequests("later", 1), true},
		"a credential that is not good yet": {apierrors.NewUnauthorized("who"), true},
		"an answer: not found":              {apierrors.NewNotFound(pods, "a"), false},
		"an answer: no":                     {apierrors.NewForbidden(pods, "a", errors.New("no")), false},
		"a namespace that is being removed": {terminating, true},
		"admission that is not ready":       {apierrors.NewForbidden(pods, "a", errors.New("not yet ready to handle request")), true},
		"an answer: changed meanwhile":      {apierrors.NewConflict(pods, "a", errors.New("old")), false},
	}
	for name, test := range tests {
		if got := place.Away(test.err); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
		if test.want && place.Refused(test.err) {
			t.Errorf("%s: is a refusal as well", name)
		}
	}
}

func TestTheAppOfAPodIsToldByWhatATenantCannotChange(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	bound := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "abcdefgh"}, Spec: v1alpha1.VirtualClusterSpec{ClaimRef: &v1alpha1.ClaimRef{Name: "acme"}}}
	free := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "bbbbbbbb"}}
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(bound, free).Build()
	pod := func(namespace, annotated, labelled string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Annotations: map[string]string{place.AnnotationNamespace: annotated}, Labels: map[string]string{v1alpha1.LabelApp: labelled},
		}}
	}
	tests := map[string]struct {
		pod  *corev1.Pod
		want types.NamespacedName
	}{
		"a process of an app":                {pod("vc-abcdefgh", "shop", "shop"), types.NamespacedName{Namespace: "tenant-acme", Name: "shop"}},
		"a label that names another app":     {pod("vc-abcdefgh", "shop", "blog"), types.NamespacedName{}},
		"a pod of the tenant's own making":   {pod("vc-abcdefgh", "shop", ""), types.NamespacedName{}},
		"a pod of a cluster that is free":    {pod("vc-bbbbbbbb", "shop", "shop"), types.NamespacedName{}},
		"a pod of a cluster that is unknown": {pod("vc-cccccccc", "shop", "shop"), types.NamespacedName{}},
		"a pod of the platform":              {pod("berth-system", "shop", "shop"), types.NamespacedName{}},
		"a namespace without an id":          {pod("vc-", "shop", "shop"), types.NamespacedName{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, found := place.AppOfPod(t.Context(), reader, test.pod)
			if got != test.want || found != (test.want.Name != "") {
				t.Errorf("got %v, %t", got, found)
			}
		})
	}
}
