// Command cp is the one use of cp that vCluster's chart makes of the image with the
// Kubernetes binaries: cp -r SOURCE/. TARGET/. The image has no shell and no libc,
// so it brings its own.
//
// Symbolic links are copied as links: kube-apiserver and kube-controller-manager are
// names of one binary, whose bytes are copied once.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cp:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 || args[0] != "-r" {
		return errors.New("usage: cp -r SOURCE TARGET")
	}
	source, target := args[1], args[2]
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", source)
	}
	// As with any cp, "SOURCE/." means what is in it; a SOURCE without the dot goes
	// into a TARGET that exists, under its own name.
	if base := filepath.Base(source); base != "." {
		if existing, err := os.Stat(target); err == nil && existing.IsDir() {
			target = filepath.Join(target, base)
		}
	}
	return copyTree(source, target)
}

func copyTree(source, target string) error {
	return filepath.WalkDir(source, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		to := filepath.Join(target, rel)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			if err := os.MkdirAll(to, info.Mode().Perm()|0o700); err != nil {
				return err
			}
			return nil
		case info.Mode()&fs.ModeSymlink != 0:
			return copyLink(name, to)
		case info.Mode().IsRegular():
			return copyFile(name, to, info.Mode().Perm())
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", name)
		}
	})
}

func copyLink(name, to string) error {
	link, err := os.Readlink(name)
	if err != nil {
		return err
	}
	if err := removeOld(to); err != nil {
		return err
	}
	return os.Symlink(link, to)
}

func copyFile(name, to string, mode fs.FileMode) (err error) {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	// An init container that runs again finds its own copies: they are replaced, not
	// written over, as the old one may be running.
	if err := removeOld(to); err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(file, from)
	return err
}

func removeOld(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
