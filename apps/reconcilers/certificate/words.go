package certificate

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// timeOf is a moment as objects have it, which know whole seconds only.
func timeOf(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	return &metav1.Time{Time: at.UTC().Truncate(time.Second)}
}

// sentence ends a text with a point and begins it with a capital.
func sentence(text string) string {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\n", "; "))
	if text == "" {
		return ""
	}
	if !strings.ContainsAny(text[len(text)-1:], ".!?…") {
		text += "."
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
