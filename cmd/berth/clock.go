package main

import (
	"fmt"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/apiclient"
)

// clockOf is when a component runs, or nil for one that runs all the time.
func clockOf(template *v1alpha1.AppTemplate, component string) *v1alpha1.Cron {
	if found, ok := apps.ComponentOf(template, component); ok {
		return found.Cron
	}
	return nil
}

// readyWords is how much of a component runs. Of one that runs by the clock nothing has to.
func readyWords(template *v1alpha1.AppTemplate, c apiclient.Component) string {
	clock := clockOf(template, c.Name)
	switch {
	case clock == nil:
		return fmt.Sprintf("%d of %d", c.Ready, c.Count)
	case c.Count == 0:
		return "stopped"
	case c.Ready > 0:
		return "runs now"
	default:
		return "at " + clock.Schedule
	}
}
