package service

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

func TestARegionThatNobodyServesIsRefusedWithThoseThereAre(t *testing.T) {
	host := func(region string) v1alpha1.HostCluster {
		return v1alpha1.HostCluster{Spec: v1alpha1.HostClusterSpec{Region: region}}
	}
	leaving := host("moon")
	leaving.DeletionTimestamp = &metav1.Time{}
	hosts := []v1alpha1.HostCluster{host("us"), host("eu"), host("eu"), leaving}
	if err := checkRegion(hosts, "eu"); err != nil {
		t.Error(err)
	}
	for _, region := range []string{"typo", "moon"} {
		err := checkRegion(hosts, region)
		if errs.CodeOf(err) != errs.Invalid || errs.As(err).Field != "region" || !strings.Contains(errs.As(err).Fix, "one of: eu, us;") {
			t.Errorf("%s: got %v", region, err)
		}
	}
}
