package vcluster

import (
	"strings"
	"testing"

	"github.com/berth-dev/berth/tenancy"
)

func TestTheHashDependsOnTheClassAlone(t *testing.T) {
	base := tenancy.HostClass{StorageClass: "berth-local", CPUOvercommit: 10}
	first, err := hash(ChartVersion, base, DefaultImages())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		version string
		class   tenancy.HostClass
		images  Images
		same    bool
	}{
		"nothing changed":       {ChartVersion, base, DefaultImages(), true},
		"another chart":         {"0.37.0", base, DefaultImages(), false},
		"another storage class": {ChartVersion, tenancy.HostClass{StorageClass: "gp3", CPUOvercommit: 10}, DefaultImages(), false},
		"another overcommit":    {ChartVersion, tenancy.HostClass{StorageClass: "berth-local", CPUOvercommit: 1}, DefaultImages(), false},
		"another image": {
			ChartVersion, base,
			Images{Syncer: "berth.dev/vcluster-oss:0.36.2", Kubernetes: "berth.dev/kubernetes:v1.36.3", CoreDNS: "berth.dev/coredns:1.14.5"},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := hash(test.version, test.class, test.images)
			if err != nil {
				t.Fatal(err)
			}
			if (got == first) != test.same {
				t.Errorf("hash %s, first %s, same should be %t", got, first, test.same)
			}
		})
	}
}

func TestValuesThatNeedALicenceAreRefused(t *testing.T) {
	for key, change := range map[string]func(dict){
		"controlPlane.coredns.embedded": func(all dict) {
			all["controlPlane"].(dict)["coredns"].(dict)["embedded"] = true
		},
		"sync.toHost.namespaces": func(all dict) {
			all["sync"].(dict)["toHost"].(dict)["namespaces"] = dict{"enabled": true}
		},
		"privateNodes": func(all dict) { all["privateNodes"] = dict{"enabled": true} },
	} {
		t.Run(key, func(t *testing.T) {
			all, err := values("k3x9m2pq", tenancy.HostClass{CPUOvercommit: 1}, DefaultImages())
			if err != nil {
				t.Fatal(err)
			}
			change(all)
			if err := check(all); err == nil || !strings.Contains(err.Error(), key) {
				t.Errorf("error %v, want one that names %s", err, key)
			}
		})
	}
}

func TestAnUnknownValueIsRefused(t *testing.T) {
	if err := check(dict{"controlPlane": dict{"statefulSets": dict{}}}); err == nil {
		t.Error("a misspelt key was taken")
	}
}

func TestAnImageIsRefusedWhen(t *testing.T) {
	for name, image := range map[string]string{
		"it names no registry":           "vcluster-oss:0.36.1",
		"it names no tag":                "berth.dev/vcluster-oss",
		"it is a digest":                 "berth.dev/vcluster-oss@sha256:abc",
		"the tag belongs to a port only": "berth.dev:5000/vcluster-oss",
		"it is the licensed edition":     "ghcr.io/loft-sh/vcluster-pro:0.36.1",
		"it is empty":                    "",
	} {
		t.Run(name, func(t *testing.T) {
			images := DefaultImages()
			images.Syncer = image
			if err := images.Validate(); err == nil {
				t.Errorf("%q was taken", image)
			}
		})
	}
}
