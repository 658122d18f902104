package service

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/berth-dev/berth/apps"
)

func TestEveryFaultOfTheAPIServerIsToldWithAFix(t *testing.T) {
	spec := field.NewPath("spec")
	err := translate(apierrors.NewInvalid(schema.GroupKind{Group: "berth.dev", Kind: "App"}, "shop", field.ErrorList{
		field.Invalid(spec.Child("deployTimeoutSeconds"), 5, "should be greater than or equal to 10"),
		field.Required(spec.Child("template", "components").Index(0).Child("image"), ""),
		field.Invalid(spec, "object", "formation: names must differ"),
		field.Invalid(nil, "null", "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"),
	}))
	var got []string
	for _, fault := range apps.Faults(err) {
		got = append(got, fault.Error())
	}
	want := []string{
		"deployTimeoutSeconds: should be greater than or equal to 10: Change it so that it keeps to this rule.",
		"components[0].image: Required value: Add it.",
		"formation: names must differ: Change it so that it keeps to this rule.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
