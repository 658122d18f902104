package apps

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// The bounds of sidecars and of components that run by the clock.
const (
	maxSidecars        = 4
	minSidecarPercent  = 5
	maxSidecarPercent  = 90
	minRunSeconds      = 10
	maxRunSeconds      = 86400
	defaultRunSeconds  = 3600
	defaultPercent     = 10
	maxScheduleLetters = 100
	scheduleExamples   = `write five fields, such as "*/15 * * * *", or one of @hourly, @daily, @weekly, @monthly, @yearly`
)

// SidecarPercents are the shares of a component's sidecars, in their order, with the
// default filled in.
func SidecarPercents(component *v1alpha1.Component) []int32 {
	percents := make([]int32, 0, len(component.Sidecars))
	for _, sidecar := range component.Sidecars {
		percents = append(percents, cmp.Or(sidecar.Percent, defaultPercent))
	}
	return percents
}

// RunTimeout is how long one run of a component that runs by the clock may take.
func RunTimeout(clock *v1alpha1.Cron) time.Duration {
	return time.Duration(cmp.Or(clock.TimeoutSeconds, defaultRunSeconds)) * time.Second
}

func (v *validation) sidecars(field string, component v1alpha1.Component) {
	if len(component.Sidecars) > maxSidecars {
		v.invalid(field, fmt.Sprintf("keep to %d", maxSidecars), "the component has %d sidecars", len(component.Sidecars))
	}
	names, sum := map[string]bool{component.Name: true}, int32(0)
	for i, percent := range SidecarPercents(&component) {
		sidecar := component.Sidecars[i]
		at := field + "." + sidecar.Name
		if !ValidComponentName(sidecar.Name) {
			v.invalid(at, "use 1 to 30 lower-case letters, digits and single hyphens, a letter first", "%q cannot be the name of a sidecar", sidecar.Name)
		}
		if names[sidecar.Name] {
			v.invalid(at, "rename it", "the component or another sidecar of it is called %q", sidecar.Name)
		}
		names[sidecar.Name] = true
		v.image(at+".image", sidecar.Image)
		v.command(at+".command", sidecar.Command)
		if percent < minSidecarPercent || percent > maxSidecarPercent {
			v.invalid(at+".percent", fmt.Sprintf("choose %d to %d", minSidecarPercent, maxSidecarPercent), "a sidecar cannot have %d percent of the component's OCUs", percent)
			continue
		}
		sum += percent
	}
	if sum > maxSidecarPercent {
		v.invalid(field, fmt.Sprintf("keep their percents together at %d or less", maxSidecarPercent),
			"the sidecars take %d percent of the component's OCUs and leave too little for its own process", sum)
	}
}

func (v *validation) cron(field string, component v1alpha1.Component) {
	clock := component.Cron
	if clock == nil {
		return
	}
	if fault, fix := checkSchedule(clock.Schedule); fault != "" {
		v.invalid(field+".schedule", fix, "%s", fault)
	}
	if !validTimeZone(clock.TimeZone) {
		v.invalid(field+".timeZone", "name one such as Europe/Berlin, or leave it out for UTC", "%q is not a time zone", clock.TimeZone)
	}
	if seconds := RunTimeout(clock) / time.Second; seconds < minRunSeconds || seconds > maxRunSeconds {
		v.invalid(field+".timeoutSeconds", fmt.Sprintf("choose %d to %d", minRunSeconds, maxRunSeconds), "a run cannot be given %d seconds", seconds)
	}
	for _, has := range []struct {
		what string
		it   bool
	}{{"ports", len(component.Ports) > 0}, {"health", component.Health != nil}, {"volumes", len(component.Volumes) > 0}} {
		if has.it {
			v.invalid(field, "leave "+has.what+" out, or make another component of it", "a component that runs by the clock has no %s", has.what)
		}
	}
}

// checkSchedule says what is wrong with a schedule, or nothing. A zone in it would be a
// second answer to what timeZone asks.
func checkSchedule(schedule string) (fault, fix string) {
	switch {
	case len(schedule) > maxScheduleLetters:
		return fmt.Sprintf("the schedule has %d letters", len(schedule)), fmt.Sprintf("keep to %d", maxScheduleLetters)
	case strings.Contains(schedule, "TZ="):
		return fmt.Sprintf("%q names a time zone", schedule), "put the zone into timeZone"
	case strings.HasPrefix(schedule, "@every"):
		return fmt.Sprintf("%q has no fixed times", schedule), scheduleExamples
	}
	parsed, err := cron.ParseStandard(schedule)
	if err != nil {
		return fmt.Sprintf("%q is not a schedule", schedule), scheduleExamples
	}
	// The start does not matter: from any day, what comes at all comes within a few years.
	if parsed.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fmt.Sprintf("the time %q never comes", schedule), "check the day and the month"
	}
	return "", ""
}

// validTimeZone knows the zones of the time zone database. Local is the zone of whatever
// machine reads it, and so none.
func validTimeZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil && !strings.EqualFold(name, "local")
}
