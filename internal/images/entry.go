package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Entry is one file, folder or link of a layer. Owners are always root and times
// always the epoch, so that a layer depends on names, modes and bytes only.
type Entry struct {
	path string
	mode int64
	kind byte
	link string
	size int64
	open func() (io.ReadCloser, error)
}

// File is the file at source, put at target with the given permissions.
func File(target, source string, mode fs.FileMode) (Entry, error) {
	info, err := os.Stat(source)
	if err != nil {
		return Entry{}, fmt.Errorf("packing %s: %w", target, err)
	}
	if !info.Mode().IsRegular() {
		return Entry{}, fmt.Errorf("packing %s: %s is not a regular file", target, source)
	}
	return Entry{
		path: clean(target), mode: int64(mode.Perm()), kind: tar.TypeReg, size: info.Size(),
		open: func() (io.ReadCloser, error) { return os.Open(source) },
	}, nil
}

// Binary is an executable file.
func Binary(target, source string) (Entry, error) { return File(target, source, 0o755) }

// Bytes is a file with the given content, readable by all.
func Bytes(target string, content []byte) Entry {
	return Entry{
		path: clean(target), mode: 0o644, kind: tar.TypeReg, size: int64(len(content)),
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// Dir is a folder. Missing parents are made with mode 0755. A mode of 01777 is
// written as such: everybody writes, only owners delete.
func Dir(target string, mode int64) Entry {
	return Entry{path: clean(target), mode: mode, kind: tar.TypeDir}
}

// Symlink is a symbolic link at target that points to link.
func Symlink(target, link string) Entry {
	return Entry{path: clean(target), mode: 0o777, kind: tar.TypeSymlink, link: link}
}

// Tree is every regular file below the folder source, put below target. Files are
// readable by all, and executable if their owner may execute them. skip is asked with
// the path relative to source; nil keeps everything.
func Tree(target, source string, skip func(rel string) bool) ([]Entry, error) {
	var entries []Entry
	err := filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if rel != "." && skip != nil && skip(rel) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		entry, err := File(path.Join(target, rel), name, mode)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("packing %s: %w", source, err)
	}
	return entries, nil
}

// extract writes a regular file's content to name.
func (e Entry) extract(name string) (err error) {
	if e.open == nil {
		return fmt.Errorf("/%s is not a file", e.path)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	content, err := e.open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(e.mode).Perm())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(file, content)
	return err
}

func clean(target string) string { return strings.TrimPrefix(path.Clean("/"+target), "/") }

// normalize sorts entries by path, adds the missing parents and refuses two entries
// for one path: which of them an image would hold depends on the reader.
func normalize(entries []Entry) ([]Entry, error) {
	byPath := make(map[string]Entry, len(entries))
	for _, entry := range entries {
		if entry.path == "" {
			return nil, fmt.Errorf("an entry has no path")
		}
		if _, twice := byPath[entry.path]; twice {
			return nil, fmt.Errorf("/%s is given twice", entry.path)
		}
		byPath[entry.path] = entry
	}
	for _, entry := range entries {
		for dir := path.Dir(entry.path); dir != "."; dir = path.Dir(dir) {
			parent, ok := byPath[dir]
			if !ok {
				byPath[dir] = Dir(dir, 0o755)
				continue
			}
			if parent.kind != tar.TypeDir {
				return nil, fmt.Errorf("/%s is inside /%s, which is not a folder", entry.path, dir)
			}
		}
	}
	sorted := make([]Entry, 0, len(byPath))
	for _, entry := range byPath {
		sorted = append(sorted, entry)
	}
	slices.SortFunc(sorted, func(a, b Entry) int { return strings.Compare(a.path, b.path) })
	return sorted, nil
}
