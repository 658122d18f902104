package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/berth-dev/berth/internal/apiclient"
)

// pack writes a file or folder of this machine as a tar archive in which it has another
// name. Links go along as links, except the very thing that was named.
func pack(ctx context.Context, w io.Writer, src, name string, m *meter) error {
	src, err := filepath.EvalSymlinks(src)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	err = filepath.WalkDir(src, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, reasonOf(err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		below, err := filepath.Rel(src, file)
		if err != nil {
			return err
		}
		return packOne(archive, file, path.Join(name, filepath.ToSlash(below)), entry, m)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

func packOne(archive *tar.Writer, file, name string, entry fs.DirEntry, m *meter) error {
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, reasonOf(err))
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = os.Readlink(file); err != nil {
			return fmt.Errorf("reading %s: %w", file, reasonOf(err))
		}
	case !info.IsDir() && !info.Mode().IsRegular():
		m.done.LeftOut = append(m.done.LeftOut, file)
		return nil
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	// Whose it is here means nothing there.
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
	header.Name, header.Mode = name, int64(info.Mode().Perm())
	if info.IsDir() {
		header.Name += "/"
	}
	if err := m.take(header.Size); err != nil {
		return err
	}
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	m.done.Files++
	return packContent(archive, file, header.Size)
}

func packContent(archive *tar.Writer, file string, size int64) error {
	in, err := os.Open(file) // the person's own file
	if err != nil {
		return &apiclient.Problem{Code: "failed", Detail: fmt.Sprintf("%s cannot be read: %v", file, reasonOf(err)), Fix: "Make it readable, or copy something else."}
	}
	defer in.Close()
	if _, err := io.CopyN(archive, in, size); err != nil {
		return fmt.Errorf("copying %s, which may have changed meanwhile: %w", file, err)
	}
	return nil
}
