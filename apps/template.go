package apps

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// byDigest is an image reference that can only ever mean one image.
var byDigest = regexp.MustCompile(`^[^@\s]+@sha256:[0-9a-f]{64}$`)

// HashTemplate identifies a template: equal templates have equal hashes. What is
// empty and what is unset count as the same, because JSON leaves both out, and a
// map's keys are sorted.
func HashTemplate(template *v1alpha1.AppTemplate) string {
	return hashOf(template)
}

// CheckDigests refuses a template whose images are not all named by digest: a
// tag may mean something else tomorrow and a release must not.
func CheckDigests(template *v1alpha1.AppTemplate) error {
	for _, component := range template.Components {
		field := "components." + component.Name
		if err := checkDigest(field+".image", component.Image); err != nil {
			return err
		}
		for _, sidecar := range component.Sidecars {
			if err := checkDigest(field+".sidecars."+sidecar.Name+".image", sidecar.Image); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkDigest(field, image string) error {
	if byDigest.MatchString(image) {
		return nil
	}
	return errs.New(errs.Invalid, field, fmt.Sprintf("the image %q is not named by its digest", image),
		"deploy through the command line or the API, which look the digest up")
}

// ReleaseName is the name of an app's release.
func ReleaseName(app string, version int64) string {
	return fmt.Sprintf("%s-v%d", app, version)
}

func hashOf(value any) string {
	// Only plain data reaches this function, which json cannot fail on.
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("hashing %T: %v", value, err))
	}
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:])
}
