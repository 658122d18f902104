package images

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push sends an image to the registry that answers plain HTTP at host:port. The
// registry's name in ref is what the image is called where it runs; only its
// repository and tag count here. An image that the registry has already is not sent.
func Push(ctx context.Context, registry, ref string, image v1.Image) error {
	target, err := pushTarget(registry, ref)
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return fmt.Errorf("pushing %s: %w", ref, err)
	}
	// The registry is our own, on this machine: a proxy between is never wanted.
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return fmt.Errorf("pushing %s: the default HTTP transport was replaced", ref)
	}
	direct := transport.Clone()
	direct.Proxy = nil
	defer direct.CloseIdleConnections()
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuth(authn.Anonymous), remote.WithTransport(direct)}
	if current, err := remote.Head(target, options...); err == nil && current.Digest == digest {
		return nil
	}
	if err := remote.Write(target, image, options...); err != nil {
		return fmt.Errorf("pushing %s: %w", ref, err)
	}
	return nil
}

func pushTarget(registry, ref string) (name.Tag, error) {
	wanted, err := name.NewTag(ref, name.StrictValidation)
	if err != nil {
		return name.Tag{}, fmt.Errorf("pushing %s: %w", ref, err)
	}
	target, err := name.NewTag(registry+"/"+wanted.RepositoryStr()+":"+wanted.TagStr(), name.Insecure, name.StrictValidation)
	if err != nil {
		return name.Tag{}, fmt.Errorf("pushing %s: %w", ref, err)
	}
	return target, nil
}
