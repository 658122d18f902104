package conditions

import (
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	ready           = "Ready"
	reasonSucceeded = "Succeeded"
	reasonWaiting   = "Waiting"

	// maxMessage bounds a message; the API server refuses more than 32768 bytes and
	// nobody reads as many.
	maxMessage = 2048
)

// Status is what a condition can be set to: true, false or one of apimachinery's
// three values.
type Status interface {
	bool | metav1.ConditionStatus
}

// Set writes one condition. The reason is one of the documented words of the
// kind; the message is fit to show to a tenant.
func Set[S Status](conds *[]metav1.Condition, generation int64, conditionType string, status S, reason, message string) {
	meta.SetStatusCondition(conds, metav1.Condition{
		Type:               conditionType,
		Status:             statusOf(status),
		ObservedGeneration: generation,
		Reason:             reason,
		Message:            shorten(message),
	})
}

// Moment is a time as messages tell it.
func Moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// Initialize adds the conditions that are missing, as Unknown, in the given order
// with Ready first.
func Initialize(conds *[]metav1.Condition, generation int64, types ...string) {
	for _, conditionType := range append([]string{ready}, types...) {
		if meta.FindStatusCondition(*conds, conditionType) == nil {
			Set(conds, generation, conditionType, metav1.ConditionUnknown, reasonWaiting, "Not looked at yet")
		}
	}
}

// DeriveReady sets Ready from the conditions of the given types, which are in the
// order in which work is done: True when all are True and speak of this
// generation, else what the first one that is not says.
func DeriveReady(conds *[]metav1.Condition, generation int64, types ...string) {
	for _, conditionType := range types {
		found := meta.FindStatusCondition(*conds, conditionType)
		switch {
		case found == nil:
			Set(conds, generation, ready, metav1.ConditionUnknown, reasonWaiting, "Not looked at yet")
			return
		case found.Status != metav1.ConditionTrue:
			Set(conds, generation, ready, found.Status, found.Reason, found.Message)
			return
		case found.ObservedGeneration < generation:
			Set(conds, generation, ready, metav1.ConditionUnknown, reasonWaiting, "The newest change has not been looked at yet")
			return
		}
	}
	Set(conds, generation, ready, metav1.ConditionTrue, reasonSucceeded, "")
}

// IsTrue says whether a condition is True and speaks of this generation.
func IsTrue(conds []metav1.Condition, generation int64, conditionType string) bool {
	found := meta.FindStatusCondition(conds, conditionType)
	return found != nil && found.Status == metav1.ConditionTrue && found.ObservedGeneration >= generation
}

func statusOf[S Status](status S) metav1.ConditionStatus {
	switch value := any(status).(type) {
	case metav1.ConditionStatus:
		return value
	case bool:
		if value {
			return metav1.ConditionTrue
		}
	}
	return metav1.ConditionFalse
}

// shorten cuts a message at a rune's edge.
func shorten(message string) string {
	message = strings.TrimSpace(message)
	if len(message) <= maxMessage {
		return message
	}
	cut := maxMessage
	for cut > 0 && !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + "…"
}
