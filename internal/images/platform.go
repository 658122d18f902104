package images

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The images whose tags are versions of what is in them. Those of Berth's own
// binaries are tagged with their content, see Platform.
const (
	VCluster   = "berth.dev/vcluster-oss:" + vclusterVersion
	Kubernetes = "berth.dev/kubernetes:v1.36.3"
	CoreDNS    = "berth.dev/coredns:1.14.5"
	Pause      = "berth.dev/pause:1"

	vclusterVersion = "0.36.1"
)

// ChartPath is where berth-controller's image holds vCluster's chart.
const ChartPath = "/charts/vcluster"

// caBundle is where Debian keeps the certificates that the machine trusts, those its
// operator added included. An image gets them at the same place, where Go looks.
const caBundle = "/etc/ssl/certs/ca-certificates.crt"

// Platform makes every image that Berth itself needs on a host cluster.
//
// partsDir holds kube-control-plane, kine, vcluster and coredns; binDir holds
// berth-controller, berth-portal, berth-router and the small programs berth-setup, cp and pause
// of this package's cmd folder; chartDir is vCluster's chart as its Go module ships it. All
// must be static binaries. The tag of a Berth image is the first twelve digits of its
// digest: an image that is current has the name it had.
func Platform(partsDir, binDir, chartDir string) (Set, error) {
	certificates, err := certificates()
	if err != nil {
		return nil, err
	}
	chart, err := vclusterChart(chartDir)
	if err != nil {
		return nil, err
	}
	set := Set{}
	setup, err := Binary("/berth-setup", filepath.Join(binDir, "berth-setup"))
	if err != nil {
		return nil, err
	}
	for name, extra := range map[string][]Entry{
		"berth-controller": append(append(chart, setup), certificates...),
		"berth-portal":     certificates,
		"berth-router":     nil,
	} {
		image, err := berthImage(binDir, name, extra)
		if err != nil {
			return nil, err
		}
		if err := set.addByContent("berth.dev/"+name, image); err != nil {
			return nil, err
		}
	}
	for ref, build := range map[string]func() (v1.Image, error){
		VCluster: func() (v1.Image, error) {
			return single(filepath.Join(partsDir, "vcluster"), Config{Entrypoint: []string{"/vcluster", "start"}}, certificates...)
		},
		CoreDNS: func() (v1.Image, error) {
			return single(filepath.Join(partsDir, "coredns"), Config{Entrypoint: []string{"/coredns"}})
		},
		Pause: func() (v1.Image, error) {
			return single(filepath.Join(binDir, "pause"), Config{Entrypoint: []string{"/pause"}})
		},
		Kubernetes: func() (v1.Image, error) { return kubernetesImage(partsDir, binDir) },
	} {
		image, err := build()
		if err != nil {
			return nil, fmt.Errorf("making %s: %w", ref, err)
		}
		set[ref] = image
	}
	return set, nil
}

// Ref gives the full reference of the set's image of a repository, such as
// "berth.dev/berth-router"; empty if there is none.
func (s Set) Ref(repository string) string {
	for _, ref := range s.Refs() {
		if strings.HasPrefix(ref, repository+":") {
			return ref
		}
	}
	return ""
}

func (s Set) addByContent(repository string, image v1.Image) error {
	digest, err := image.Digest()
	if err != nil {
		return fmt.Errorf("making %s: %w", repository, err)
	}
	s[repository+":"+digest.Hex[:12]] = image
	return nil
}

func berthImage(binDir, name string, extra []Entry) (v1.Image, error) {
	binary, err := Binary("/"+name, filepath.Join(binDir, name))
	if err != nil {
		return nil, err
	}
	return Scratch(Config{Entrypoint: []string{"/" + name}}, append([]Entry{binary, Dir("/tmp", 0o1777)}, extra...)...)
}

// single is an image of one binary, put at the root under its own name.
func single(source string, config Config, extra ...Entry) (v1.Image, error) {
	binary, err := Binary("/"+filepath.Base(source), source)
	if err != nil {
		return nil, err
	}
	return Scratch(config, append([]Entry{binary, Dir("/tmp", 0o1777)}, extra...)...)
}

// kubernetesImage is what the chart's init container copies the control plane's
// binaries from. The two Kubernetes names are links to one binary, whose bytes a
// starting control plane copies once. It is started by the bare name cp.
func kubernetesImage(partsDir, binDir string) (v1.Image, error) {
	const folder = "/kubernetes/"
	entries := []Entry{
		Symlink(folder+"kube-apiserver", "kube-control-plane"),
		Symlink(folder+"kube-controller-manager", "kube-control-plane"),
	}
	for target, source := range map[string]string{
		folder + "kube-control-plane": filepath.Join(partsDir, "kube-control-plane"),
		folder + "kine":               filepath.Join(partsDir, "kine"),
		"/bin/cp":                     filepath.Join(binDir, "cp"),
	} {
		entry, err := Binary(target, source)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return Scratch(Config{Entrypoint: []string{"/bin/cp"}}, entries...)
}

func certificates() ([]Entry, error) {
	bundle, err := os.ReadFile(caBundle)
	if os.IsNotExist(err) {
		return nil, nil // a machine without them trusts nobody, and so do its images
	}
	if err != nil {
		return nil, fmt.Errorf("reading the machine's certificates: %w", err)
	}
	return []Entry{Bytes(caBundle, bundle)}, nil
}
