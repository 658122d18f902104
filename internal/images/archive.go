package images

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Set holds images by their full references.
type Set map[string]v1.Image

// Refs lists the references in order.
func (s Set) Refs() []string {
	refs := make([]string, 0, len(s))
	for ref := range s {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	return refs
}

// WriteTar writes the images as one OCI archive, as `ctr images import` reads it. A blob
// that several images share is written once.
func WriteTar(w io.Writer, set Set) error {
	archive := &archiveWriter{tar: tar.NewWriter(w), written: map[v1.Hash]bool{}}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	for _, ref := range set.Refs() {
		descriptor, err := archive.image(set[ref])
		if err != nil {
			return fmt.Errorf("saving %s: %w", ref, err)
		}
		descriptor.Annotations = map[string]string{
			"io.containerd.image.name":          ref,
			"org.opencontainers.image.ref.name": ref,
		}
		index.Manifests = append(index.Manifests, descriptor)
	}
	encoded, err := json.Marshal(index)
	if err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	if err := archive.file("index.json", encoded); err != nil {
		return err
	}
	if err := archive.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := archive.tar.Close(); err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	return nil
}

type archiveWriter struct {
	tar     *tar.Writer
	written map[v1.Hash]bool
}

func (a *archiveWriter) image(image v1.Image) (v1.Descriptor, error) {
	layers, err := image.Layers()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, layer := range layers {
		if err := a.layer(layer); err != nil {
			return v1.Descriptor{}, err
		}
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if err := a.blob(config); err != nil {
		return v1.Descriptor{}, err
	}
	manifest, err := image.RawManifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if err := a.blob(manifest); err != nil {
		return v1.Descriptor{}, err
	}
	digest, err := image.Digest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{
		MediaType: types.OCIManifestSchema1, Digest: digest, Size: int64(len(manifest)),
		Platform: &v1.Platform{OS: file.OS, Architecture: file.Architecture},
	}, nil
}

func (a *archiveWriter) layer(layer v1.Layer) error {
	digest, err := layer.Digest()
	if err != nil {
		return err
	}
	size, err := layer.Size()
	if err != nil {
		return err
	}
	if a.written[digest] {
		return nil
	}
	content, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	return a.write(digest, size, content)
}

func (a *archiveWriter) blob(content []byte) error {
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	if err != nil || a.written[digest] {
		return err
	}
	return a.write(digest, size, bytes.NewReader(content))
}

func (a *archiveWriter) write(digest v1.Hash, size int64, content io.Reader) error {
	header := &tar.Header{Name: "blobs/" + digest.Algorithm + "/" + digest.Hex, Mode: 0o444, Size: size, ModTime: epoch}
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(a.tar, content); err != nil {
		return err
	}
	a.written[digest] = true
	return nil
}

func (a *archiveWriter) file(name string, content []byte) error {
	header := &tar.Header{Name: name, Mode: 0o444, Size: int64(len(content)), ModTime: epoch}
	if err := a.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	if _, err := a.tar.Write(content); err != nil {
		return fmt.Errorf("saving images: %w", err)
	}
	return nil
}
