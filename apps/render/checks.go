package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

const (
	defaultTimeoutSeconds = 2

	// A process that starts slowly is not ended for it: the release's own deadline
	// judges it. The bound is the longest deadline there is.
	startSeconds = 3600
	// A ready process is noticed within a second; one that fails three checks in a
	// row gets no more requests.
	readyPeriodSeconds = 1
	readyFailures      = 3
	// A process is ended only when it has been silent for a minute, since a busy one
	// is made no faster by that.
	livePeriodSeconds  = 10
	liveFailures       = 6
	liveTimeoutSeconds = 5
)

// checks says how the cluster tells that a process works.
func checks(c *corev1.Container, component *v1alpha1.Component) {
	port := apps.HealthPort(*component)
	if port == nil {
		return
	}
	timeout := int32(defaultTimeoutSeconds)
	if component.Health != nil && component.Health.TimeoutSeconds > 0 {
		timeout = component.Health.TimeoutSeconds
	}
	probe := func(period, failures, timeout int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: handler(component, port), PeriodSeconds: period, FailureThreshold: failures,
			SuccessThreshold: 1, TimeoutSeconds: timeout,
		}
	}
	c.StartupProbe = probe(1, startSeconds, timeout)
	c.ReadinessProbe = probe(readyPeriodSeconds, readyFailures, timeout)
	c.LivenessProbe = probe(livePeriodSeconds, liveFailures, max(timeout, liveTimeoutSeconds))
}

func handler(component *v1alpha1.Component, port *v1alpha1.Port) corev1.ProbeHandler {
	at := intstr.FromInt32(port.Port)
	if component.Health == nil || component.Health.Path == "" {
		return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: at}}
	}
	return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: component.Health.Path, Port: at, Scheme: corev1.URISchemeHTTP}}
}
