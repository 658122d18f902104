package main

import (
	"testing"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func TestAComponentThatRunsByTheClockIsNotMissing(t *testing.T) {
	template := &v1alpha1.AppTemplate{Components: []v1alpha1.Component{
		{Name: "web"}, {Name: "report", Cron: &v1alpha1.Cron{Schedule: "@daily"}},
	}}
	for want, component := range map[string]apiclient.Component{
		"0 of 1":    {Name: "web", Count: 1},
		"at @daily": {Name: "report", Count: 1},
		"runs now":  {Name: "report", Count: 1, Ready: 1},
		"stopped":   {Name: "report"},
	} {
		if got := readyWords(template, component); got != want {
			t.Errorf("%s: got %q, want %q", component.Name, got, want)
		}
	}
	if clockOf(nil, "web") != nil {
		t.Error("an app that was never deployed has a clock")
	}
}
