package apps

import (
	"fmt"
	"net/netip"
	"regexp"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// The bounds of an app's labels and of its settings for the edge.
const (
	maxLabels        = 32
	maxLabelValue    = 63
	maxNetworks      = 64
	maxBodyMiB       = 10240
	maxAnswerSeconds = 3600
)

var labelKey = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

func (v *validation) labels(labels map[string]string) {
	if len(labels) > maxLabels {
		v.invalid("labels", fmt.Sprintf("keep to %d", maxLabels), "%d labels are too many", len(labels))
	}
	for _, key := range sortedKeys(labels) {
		if !labelKey.MatchString(key) {
			v.invalid("labels."+key, "use 1 to 63 lower-case letters, digits, dots, hyphens and underscores, a letter or digit first and last",
				"%q cannot be the name of a label", key)
		}
		if n := len([]rune(labels[key])); n > maxLabelValue {
			v.invalid("labels."+key, fmt.Sprintf("keep to %d", maxLabelValue), "the value has %d letters", n)
		}
	}
}

func (v *validation) edge(edge v1alpha1.EdgeSettings) {
	if len(edge.AllowedCIDRs) > maxNetworks {
		v.invalid("edge.allowedCIDRs", fmt.Sprintf("keep to %d", maxNetworks), "%d networks are too many", len(edge.AllowedCIDRs))
	}
	for _, network := range edge.AllowedCIDRs {
		if prefix, err := netip.ParsePrefix(network); err != nil || prefix.Addr().Is4In6() {
			v.invalid("edge.allowedCIDRs", "write 203.0.113.0/24, or 203.0.113.7/32 for one address", "%q is not a network", network)
		}
	}
	if edge.MaxBodyMiB < 0 || edge.MaxBodyMiB > maxBodyMiB {
		v.invalid("edge.maxBodyMiB", fmt.Sprintf("choose 1 to %d, or 0 for no bound", maxBodyMiB), "a body cannot be bounded to %d MiB", edge.MaxBodyMiB)
	}
	if edge.AnswerTimeoutSeconds < 0 || edge.AnswerTimeoutSeconds > maxAnswerSeconds {
		v.invalid("edge.answerTimeoutSeconds", fmt.Sprintf("choose 1 to %d, or 0 for the usual limit", maxAnswerSeconds),
			"an answer cannot be waited for %d seconds", edge.AnswerTimeoutSeconds)
	}
}
