package service

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyANumericUserThatIsNotRootCounts(t *testing.T) {
	for user, want := range map[string]int64{
		"1000": 1000, "1000:2000": 1000, "": 0, "0": 0, "root": 0, "nobody": 0, "0:0": 0, "-1": 0, "70000": 0,
	} {
		got := numericUser(user)
		if (got == nil) != (want == 0) || (got != nil && *got != want) {
			t.Errorf("user %q: got %v, want %d", user, got, want)
		}
	}
}

func TestMirrors(t *testing.T) {
	registry, mirror, err := ParseMirror("registry.berth.internal=http://127.0.0.1:5000/")
	if err != nil || registry != "registry.berth.internal" || !cmp.Equal(mirror, Mirror{Host: "127.0.0.1:5000", Insecure: true}) {
		t.Errorf("got %q %+v %v", registry, mirror, err)
	}
	for _, wrong := range []string{"", "registry", "=http://x", "a=", "a=http://x/y"} {
		if _, _, err := ParseMirror(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}
