package fargate

import (
	"path"

	corev1 "k8s.io/api/core/v1"
)

// ProfileLabel holds the name of the profile on every pod of the pool.
const ProfileLabel = "eks.amazonaws.com/fargate-profile"

// CapacityAnnotation holds the size of the pod's machine, such as "0.25vCPU 0.5GB".
const CapacityAnnotation = "CapacityProvisioned"

// Profile says which pods belong to the pool. In the patterns * stands for any text and ?
// for one character.
type Profile struct {
	Name string
	// Namespace is a pattern of names.
	Namespace string
	// Labels are patterns of values; each label must be there.
	Labels map[string]string
}

// Tenants is the profile of what tenants run: the pods that vCluster's syncer makes in
// their host namespaces. Their control planes are not among them: those need volumes.
var Tenants = Profile{Name: "tenants", Namespace: "vc-*", Labels: map[string]string{"vcluster.loft.sh/managed-by": "*"}}

// Matches tells whether a pod in a namespace belongs to the pool.
func (p Profile) Matches(namespace string, pod *corev1.Pod) bool {
	if fits, err := path.Match(p.Namespace, namespace); err != nil || !fits {
		return false
	}
	for key, pattern := range p.Labels {
		value, has := pod.Labels[key]
		if fits, err := path.Match(pattern, value); err != nil || !fits || !has {
			return false
		}
	}
	return true
}
