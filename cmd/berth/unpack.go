package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-dev/berth/internal/apiclient"
)

// Bounds of what a process may send besides the content of files, which --max-size bounds.
const (
	maxEntries = 200_000
	// maxName bounds one name and maxNames all of them, in bytes: they are kept to be told.
	maxName  = 4096
	maxNames = 32 << 20
	// maxPadding bounds what comes behind the archive, in bytes. Some tars fill up a block.
	maxPadding = 1 << 20
)

// unpack writes a tar archive that a process sent: from is what was asked for, and becomes
// name in root. The process may be anybody's, so nothing of the archive is believed: a name
// outside of what was asked for ends it, and links are left out, which could turn a later
// name into one outside.
func unpack(in io.Reader, root *os.Root, from, name string, m *meter) error {
	u := &unpacking{root: root, from: from, name: name, meter: m}
	archive := tar.NewReader(in)
	for n, names := 0, 0; ; n++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading what the process sent: %w", err)
		}
		if len(header.Name) > maxName {
			return hostile(header.Name[:100] + "…")
		}
		if names += len(header.Name); n == maxEntries || names > maxNames {
			return &apiclient.Problem{Code: "too_large", Detail: fmt.Sprintf("it is more than %d files, or their names are too long", n), Fix: "Copy less."}
		}
		if err := u.one(header, archive); err != nil {
			return err
		}
	}
	// What fills up the archive has no meaning; the last message comes after it.
	padding, err := io.Copy(io.Discard, io.LimitReader(in, maxPadding+1))
	switch {
	case err != nil:
		return err
	case padding > maxPadding:
		return &apiclient.Problem{Code: "refused", Detail: "the process goes on sending after the end of its archive", Fix: "Do not trust that process or its tar."}
	}
	return u.close()
}

type unpacking struct {
	root       *os.Root
	from, name string
	meter      *meter
	// folder is what was asked for, once it proved to be a folder: nothing is written outside
	// of it from then on.
	folder *os.Root
	begun  bool
}

// one writes one entry.
func (u *unpacking) one(header *tar.Header, content io.Reader) error {
	below, err := u.below(header.Name)
	if err != nil {
		return err
	}
	first := !u.begun
	u.begun = true
	switch {
	case header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir:
		u.meter.done.LeftOut = append(u.meter.done.LeftOut, header.Name)
		return nil
	case first && below == "." && header.Typeflag == tar.TypeReg:
		return u.file(u.root, u.name, header, content)
	case first && below == "." && header.Typeflag == tar.TypeDir:
		return u.open(header)
	case u.folder == nil:
		return hostile(header.Name)
	case header.Typeflag == tar.TypeDir:
		return u.folder.MkdirAll(below, folderMode(header))
	}
	if err := u.folder.MkdirAll(path.Dir(below), 0o755); err != nil {
		return err
	}
	return u.file(u.folder, filepath.FromSlash(below), header, content)
}

// below is where an entry lies in what was asked for; "." is that itself.
func (u *unpacking) below(name string) (string, error) {
	clean := path.Clean(name)
	below, inside := strings.CutPrefix(clean, u.from)
	if path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") || !inside || below != "" && below[0] != '/' {
		return "", hostile(name)
	}
	below = path.Clean("." + below)
	if !filepath.IsLocal(filepath.FromSlash(below)) {
		return "", hostile(name)
	}
	return below, nil
}

func hostile(name string) error {
	return &apiclient.Problem{
		Code: "refused", Detail: fmt.Sprintf("the process sent %q, which is not part of what was asked for", name),
		Fix: "Nothing more was written. Do not trust that process or its tar.",
	}
}

// open makes the folder that was asked for, and shuts everything else off.
func (u *unpacking) open(header *tar.Header) (err error) {
	if err := u.root.MkdirAll(u.name, folderMode(header)); err != nil {
		return err
	}
	u.folder, err = u.root.OpenRoot(u.name)
	return err
}

func (u *unpacking) close() error {
	switch {
	case u.folder != nil:
		return u.folder.Close()
	case u.meter.done.Files == 0 && len(u.meter.done.LeftOut) == 0:
		return errors.New("the process sent nothing")
	}
	return nil
}

func (u *unpacking) file(root *os.Root, name string, header *tar.Header, content io.Reader) error {
	if err := u.meter.take(header.Size); err != nil {
		return err
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, header.FileInfo().Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	u.meter.done.Files++
	_, err = io.CopyN(out, content, header.Size)
	return errors.Join(err, out.Close())
}

// folderMode lets its owner write into the folder, whatever it was like.
func folderMode(header *tar.Header) os.FileMode { return header.FileInfo().Mode().Perm() | 0o700 }
