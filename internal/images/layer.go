package images

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of every file: content alone decides a digest.
var epoch = time.Unix(0, 0).UTC()

// layer is an uncompressed layer that is read anew from its source each time.
type layer struct {
	open func() (io.ReadCloser, error)

	once sync.Once
	hash v1.Hash
	size int64
	err  error
}

var _ v1.Layer = (*layer)(nil)

// Layer packs entries. The files named by them must stay as they are until the
// image has been saved or pushed.
func Layer(entries ...Entry) (v1.Layer, error) {
	sorted, err := normalize(entries)
	if err != nil {
		return nil, fmt.Errorf("packing a layer: %w", err)
	}
	return &layer{open: func() (io.ReadCloser, error) {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(writeTar(writer, sorted)) }()
		return reader, nil
	}}, nil
}

// fileLayer is a layer whose tar file exists already.
func fileLayer(name string) v1.Layer {
	return &layer{open: func() (io.ReadCloser, error) { return os.Open(name) }}
}

func writeTar(w io.Writer, entries []Entry) error {
	tw := tar.NewWriter(w)
	for _, entry := range entries {
		if err := writeEntry(tw, entry); err != nil {
			return fmt.Errorf("packing /%s: %w", entry.path, err)
		}
	}
	return tw.Close()
}

func writeEntry(tw *tar.Writer, entry Entry) error {
	header := &tar.Header{
		Name: entry.path, Mode: entry.mode, Typeflag: entry.kind, Linkname: entry.link,
		Size: entry.size, ModTime: epoch, Format: tar.FormatPAX,
	}
	if entry.kind == tar.TypeDir {
		header.Name += "/"
	}
	if err := tw.WriteHeader(header); err != nil {
		return err
	}
	if entry.open == nil {
		return nil
	}
	content, err := entry.open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	_, err = io.Copy(tw, content)
	return err
}

func (l *layer) measure() error {
	l.once.Do(func() {
		content, err := l.open()
		if err != nil {
			l.err = err
			return
		}
		defer func() { _ = content.Close() }()
		digest := sha256.New()
		l.size, l.err = io.Copy(digest, content)
		l.hash = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(digest.Sum(nil))}
	})
	return l.err
}

// Digest is the layer's digest, the same as its DiffID: it is not compressed.
func (l *layer) Digest() (v1.Hash, error) {
	err := l.measure()
	return l.hash, err
}

// DiffID is the digest of the uncompressed tar.
func (l *layer) DiffID() (v1.Hash, error) { return l.Digest() }

// Compressed gives the bytes as they travel.
func (l *layer) Compressed() (io.ReadCloser, error) { return l.open() }

// Uncompressed gives the tar.
func (l *layer) Uncompressed() (io.ReadCloser, error) { return l.open() }

// Size counts the bytes as they travel.
func (l *layer) Size() (int64, error) {
	err := l.measure()
	return l.size, err
}

// MediaType says that the layer is a plain tar.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }
