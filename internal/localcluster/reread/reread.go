// Package reread reads files that people edit while an instance runs.
//
// It imports no room and may be imported by internal/localcluster and its packages.
package reread

import (
	"errors"
	"io/fs"
	"os"
)

// File is a file whose content is read again when it changed. It is not safe for use by
// several goroutines at a time.
type File struct {
	path string
	seen fs.FileInfo
	// looked is set after the first look.
	looked bool
}

// New makes a File; it reads nothing yet.
func New(path string) *File { return &File{path: path} }

// Next returns the content and true when it is the first look or when the file changed
// since the last one, by its time, its size or because it is another file. A file that
// does not exist has no content. After an error the next look reads again.
func (f *File) Next() ([]byte, bool, error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		news := !f.looked || f.seen != nil
		f.looked, f.seen = true, nil
		return nil, news, nil
	}
	if err != nil {
		return nil, false, err
	}
	if f.looked && f.seen != nil && same(f.seen, info) {
		return nil, false, nil
	}
	data, err := os.ReadFile(f.path) // the path is the instance's own
	if err != nil {
		return nil, false, err
	}
	f.looked, f.seen = true, info
	return data, true, nil
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
