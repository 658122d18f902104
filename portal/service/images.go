package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/berth-dev/berth/internal/errs"
)

// resolveTimeout bounds one question to a registry. Those of one request are asked at the
// same time, so it bounds them all.
const resolveTimeout = 10 * time.Second

// Mirror is another address for a registry: where the machine itself finds it.
type Mirror struct {
	// Host and port to ask instead.
	Host string
	// Insecure speaks HTTP without TLS.
	Insecure bool
}

// Images turns references into digests by asking the registries.
type Images struct {
	mirrors   map[string]Mirror
	transport http.RoundTripper
}

// NewImages makes a resolver. Mirrors are keyed by the registry's name in references.
// Without a transport it reaches public addresses and the mirrors only.
func NewImages(mirrors map[string]Mirror, transport http.RoundTripper) *Images {
	if transport == nil {
		transport = publicTransport(mirrors)
	}
	return &Images{mirrors: mirrors, transport: transport}
}

// Image is what a registry says of a reference.
type Image struct {
	// Pinned is the reference by digest, under the registry's own name.
	Pinned string
	// User is the numeric, non-root user the image asks for; nil if it asks for none.
	User *int64
}

// Resolve finds the image a reference names now. The field is named in errors.
func (r *Images) Resolve(ctx context.Context, field, image string) (*Image, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return nil, errs.New(errs.Invalid, field, quote(image)+" is not an image reference", "Write it as registry/name:tag, for example registry.berth.internal/shop/api:1.")
	}
	at, err := r.location(ref)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "the registry's mirror is configured wrongly")
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	desc, err := remote.Get(at, remote.WithContext(ctx), remote.WithTransport(r.transport),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}))
	if err != nil {
		return nil, r.refused(field, image, ref.Context().RegistryStr(), err)
	}
	img, err := desc.Image()
	if err != nil {
		return nil, errs.New(errs.Invalid, field, quote(image)+" has no variant for linux/amd64", "Build and push the image for linux/amd64.")
	}
	conf, err := img.ConfigFile()
	if err != nil {
		return nil, r.refused(field, image, ref.Context().RegistryStr(), err)
	}
	return &Image{
		Pinned: ref.Context().Digest(desc.Digest.String()).Name(),
		User:   numericUser(conf.Config.User),
	}, nil
}

// location is where to ask for a reference: its mirror if it has one.
func (r *Images) location(ref name.Reference) (name.Reference, error) {
	mirror, ok := r.mirrors[ref.Context().RegistryStr()]
	if !ok {
		return ref, nil
	}
	var opts []name.Option
	if mirror.Insecure {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(mirror.Host+"/"+ref.Context().RepositoryStr(), opts...)
	if err != nil {
		return nil, fmt.Errorf("naming the mirror of %s: %w", ref, err)
	}
	if digest, ok := ref.(name.Digest); ok {
		return repo.Digest(digest.DigestStr()), nil
	}
	return repo.Tag(ref.Identifier()), nil
}

// refused explains why a registry gave no image. It is the same for an address that is not
// asked, one that nobody answers and one that refuses: a caller chose it, and must not
// learn what there is in the platform's own networks.
func (r *Images) refused(field, image, registry string, err error) error {
	var te *transport.Error
	if !errors.As(err, &te) {
		return errs.New(errs.Unavailable, field, "the registry "+registry+" does not answer, so "+quote(image)+" cannot be checked", r.instead(registry))
	}
	switch te.StatusCode {
	case http.StatusNotFound:
		return errs.New(errs.Invalid, field, "the image "+quote(image)+" does not exist", "Check the name and the tag, or push the image first.")
	case http.StatusUnauthorized, http.StatusForbidden:
		return errs.New(errs.Invalid, field, "the image "+quote(image)+" does not exist or is private", "Check the name, or make the image readable without a password.")
	}
	return errs.New(errs.Unavailable, field, fmt.Sprintf("the registry %s answered %d for %s", registry, te.StatusCode, quote(image)), "Try again in a moment.")
}

// instead says where else an image may come from.
func (r *Images) instead(registry string) string {
	own := slices.Sorted(maps.Keys(r.mirrors))
	if len(own) == 0 || slices.Contains(own, registry) {
		return "Check the registry's name, or try again in a moment."
	}
	return "Check the registry's name. Where the platform has no way out to it, images come from " + own[0] +
		": push the image there and name it so."
}

// numericUser reads the user of an image's configuration: "1000" or "1000:1000". Root,
// names and nothing at all give nil.
func numericUser(user string) *int64 {
	id, _, _ := strings.Cut(user, ":")
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 1 || n > 65535 {
		return nil
	}
	return &n
}

// ParseMirror reads a mirror as given to a flag: registry=http://host:port.
func ParseMirror(s string) (registry string, mirror Mirror, err error) {
	registry, target, ok := strings.Cut(s, "=")
	host, insecure := strings.CutPrefix(target, "http://")
	if !insecure {
		host = strings.TrimPrefix(target, "https://")
	}
	host = strings.TrimSuffix(host, "/")
	if !ok || registry == "" || host == "" || strings.Contains(host, "/") {
		return "", Mirror{}, fmt.Errorf("%q is not registry=http://host:port", s)
	}
	return registry, Mirror{Host: host, Insecure: insecure}, nil
}
