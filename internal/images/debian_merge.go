package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// mergedUsr are the top folders that Debian keeps as links into /usr. Packages still
// ship files below the old names.
var mergedUsr = []string{"bin", "lib", "lib64", "sbin"}

// debianBase is what Debian's installer would make rather than a package.
func debianBase() ([]Entry, error) {
	entries := []Entry{
		Dir("/tmp", 0o1777), Dir("/var/tmp", 0o1777), Dir("/run", 0o755), Dir("/proc", 0o755), Dir("/sys", 0o755), Dir("/dev", 0o755),
		Bytes("/etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\napp:x:"+AppUser+":"+AppUser+":app:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n")),
		Bytes("/etc/group", []byte("root:x:0:\napp:x:"+AppUser+":\nnogroup:x:65534:\n")),
		Bytes("/etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n")),
	}
	for _, name := range mergedUsr {
		entries = append(entries, Dir("/usr/"+name, 0o755), Symlink("/"+name, "usr/"+name))
	}
	return normalize(entries)
}

// mergeDebs writes one tar with the files of all packages. It appears whole or not at all.
func mergeDebs(ctx context.Context, name string, debs []string) (err error) {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	merge := &merger{out: tar.NewWriter(file), seen: map[string]bool{}}
	base, err := debianBase()
	if err != nil {
		return err
	}
	for _, entry := range base {
		if err := writeEntry(merge.out, entry); err != nil {
			return err
		}
		merge.seen[entry.path] = true
	}
	for _, deb := range debs {
		if err := merge.deb(ctx, deb); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(deb), err)
		}
	}
	if err := merge.out.Close(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

type merger struct {
	out  *tar.Writer
	seen map[string]bool
}

func (m *merger) deb(ctx context.Context, name string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", name)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = m.files(tar.NewReader(stdout))
	_, drainErr := io.Copy(io.Discard, stdout)
	return errors.Join(err, drainErr, cmd.Wait())
}

func (m *merger) files(in *tar.Reader) error {
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		to := mergedPath(header.Name)
		// Of a path that two packages ship, folders above all, the first one counts.
		if to == "" || m.seen[to] || unneeded(to, header.Typeflag) {
			continue
		}
		out := &tar.Header{
			Name: to, Typeflag: header.Typeflag, Mode: header.Mode & 0o1777, Linkname: header.Linkname,
			ModTime: epoch, Format: tar.FormatPAX,
		}
		switch header.Typeflag {
		case tar.TypeDir:
			out.Name += "/"
		case tar.TypeReg:
			out.Size = header.Size
		case tar.TypeLink:
			out.Linkname = mergedPath(header.Linkname)
		case tar.TypeSymlink:
		default:
			continue // devices and pipes have no place in an image
		}
		m.seen[to] = true
		if err := m.out.WriteHeader(out); err != nil {
			return err
		}
		if out.Size > 0 {
			if _, err := io.Copy(m.out, in); err != nil {
				return err
			}
		}
	}
}

func mergedPath(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	top, _, _ := strings.Cut(name, "/")
	for _, merged := range mergedUsr {
		if top == merged {
			return "usr/" + name
		}
	}
	return name
}

// unneeded tells what nobody reads in a container. Copyright notices stay.
func unneeded(name string, kind byte) bool {
	if strings.HasPrefix(name, "usr/share/doc/") {
		return kind != tar.TypeDir && path.Base(name) != "copyright"
	}
	for _, folder := range []string{"usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/bug/"} {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return false
}
