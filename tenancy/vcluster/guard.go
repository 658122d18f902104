package vcluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// guard looks at what the chart rendered, before anything of it reaches the API
// server. As a post-renderer it changes nothing; it only refuses.
type guard struct {
	// namespace everything must lie in.
	namespace string
}

// kinds are all that the chart may make with our values. Anything else means that the
// chart changed or a value has an effect we did not know of.
var kinds = map[string]bool{
	"StatefulSet": true, "Service": true, "Secret": true,
	"ServiceAccount": true, "Role": true, "RoleBinding": true,
}

// Run implements Helm's PostRenderer.
func (g guard) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	if err := g.check(rendered.Bytes()); err != nil {
		return nil, fmt.Errorf("the chart rendered something that is not allowed: %w", err)
	}
	return rendered, nil
}

func (g guard) check(rendered []byte) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096)
	controlPlanes := 0
	for {
		// A StatefulSet has every field the rules speak of; other kinds leave them empty.
		var object appsv1.StatefulSet
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading it: %w", err)
		}
		if object.Kind == "" {
			continue
		}
		if !kinds[object.Kind] {
			return fmt.Errorf("kind %s (%s)", object.Kind, object.Name)
		}
		if object.Namespace != g.namespace {
			return fmt.Errorf("%s %s lies in namespace %q", object.Kind, object.Name, object.Namespace)
		}
		if object.Kind == "StatefulSet" {
			controlPlanes++
			if err := checkControlPlane(&object); err != nil {
				return err
			}
		}
	}
	if controlPlanes != 1 {
		return fmt.Errorf("%d StatefulSets instead of one", controlPlanes)
	}
	return nil
}

func checkControlPlane(set *appsv1.StatefulSet) error {
	if len(set.Spec.VolumeClaimTemplates) == 0 {
		return errors.New("a control plane without a volume")
	}
	pod := &set.Spec.Template.Spec
	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		return errors.New("a control plane in a namespace of its node")
	}
	for _, volume := range pod.Volumes {
		if volume.HostPath != nil {
			return fmt.Errorf("volume %s is a path of the node", volume.Name)
		}
	}
	for _, container := range append(pod.InitContainers, pod.Containers...) {
		if strings.Contains(container.Image, proImage) {
			return fmt.Errorf("container %s has the licensed image %s", container.Name, container.Image)
		}
		if err := checkRootless(container.SecurityContext); err != nil {
			return fmt.Errorf("container %s: %w", container.Name, err)
		}
	}
	return nil
}

// checkRootless holds a container to what pod security "restricted" asks.
func checkRootless(security *corev1.SecurityContext) error {
	switch {
	case security == nil:
		return errors.New("no security context")
	case security.RunAsNonRoot == nil || !*security.RunAsNonRoot || security.RunAsUser == nil || *security.RunAsUser == 0:
		return errors.New("runs as root")
	case security.AllowPrivilegeEscalation == nil || *security.AllowPrivilegeEscalation:
		return errors.New("may gain privileges")
	case security.Privileged != nil && *security.Privileged:
		return errors.New("is privileged")
	case security.Capabilities == nil || len(security.Capabilities.Add) > 0 || len(security.Capabilities.Drop) != 1 || security.Capabilities.Drop[0] != "ALL":
		return errors.New("keeps capabilities")
	case security.SeccompProfile == nil || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		return errors.New("has no seccomp profile")
	}
	return nil
}
