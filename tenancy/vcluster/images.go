package vcluster

import (
	"strings"

	"github.com/berth-dev/berth/internal/errs"
)

// Images of a control plane, each as registry/repository:tag.
type Images struct {
	// Syncer is vCluster's own, the open-source edition.
	Syncer string
	// Kubernetes carries kube-apiserver, kube-controller-manager, kine and a cp that
	// copies them.
	Kubernetes string
	// CoreDNS is the tenant's DNS server.
	CoreDNS string
}

// DefaultImages are the ones packed from this project's source tree.
func DefaultImages() Images {
	return Images{
		Syncer:     "berth.dev/vcluster-oss:0.36.1",
		Kubernetes: "berth.dev/kubernetes:v1.36.3",
		CoreDNS:    "berth.dev/coredns:1.14.5",
	}
}

// Validate says which image cannot be used.
func (i Images) Validate() error {
	for flag, image := range map[string]string{
		"vcluster-image": i.Syncer, "kubernetes-image": i.Kubernetes, "coredns-image": i.CoreDNS,
	} {
		if _, err := parseImage(flag, image); err != nil {
			return err
		}
	}
	return nil
}

// imageParts is an image as the chart wants it: it joins the three again.
type imageParts struct{ registry, repository, tag string }

// parseImage splits an image. The chart has no place for a digest, and without a
// registry it would fall back to its own default.
func parseImage(field, image string) (imageParts, error) {
	wrong := errs.New(errs.Invalid, field, "cannot use image "+image, "write it as registry/repository:tag, without a digest")
	registry, rest, found := strings.Cut(image, "/")
	if !found || !strings.ContainsAny(registry, ".:") || strings.Contains(image, "@") {
		return imageParts{}, wrong
	}
	repository, tag, found := strings.Cut(rest, ":")
	if !found || repository == "" || tag == "" || strings.Contains(tag, "/") {
		return imageParts{}, wrong
	}
	if strings.Contains(repository, proImage) {
		return imageParts{}, errs.New(errs.Invalid, field, image+" is the licensed edition", "use the open-source image, vcluster-oss")
	}
	return imageParts{registry: registry, repository: repository, tag: tag}, nil
}

func (p imageParts) values() map[string]any {
	return map[string]any{"registry": p.registry, "repository": p.repository, "tag": p.tag}
}
