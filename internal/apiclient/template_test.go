package apiclient

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func TestWhatATemplateClearsIsSentAndWhatItLeavesIsNot(t *testing.T) {
	for name, c := range map[string]struct {
		put  TemplatePut
		want []string
		not  []string
	}{
		"what is absent": {TemplatePut{}, nil, []string{`"labels"`, `"edge"`, `"config"`}},
		"what is empty": {
			TemplatePut{Labels: map[string]string{}, Edge: &v1alpha1.EdgeSettings{}, Template: v1alpha1.AppTemplate{Config: map[string]string{}}},
			[]string{`"labels":{}`, `"edge":{}`, `"config":{}`},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := json.Marshal(c.put)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range c.want {
				if !strings.Contains(string(raw), part) {
					t.Errorf("%s is not sent: %s", part, raw)
				}
			}
			for _, part := range c.not {
				if strings.Contains(string(raw), part) {
					t.Errorf("%s is sent: %s", part, raw)
				}
			}
		})
	}
}
