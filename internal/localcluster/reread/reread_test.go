package reread

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAFileIsReadWhenItChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	file := New(path)
	look := func(step, want string, news bool) {
		t.Helper()
		data, got, err := file.Next()
		if err != nil || string(data) != want || got != news {
			t.Errorf("%s: %q, news %t, error %v; want %q, news %t", step, data, got, err, want, news)
		}
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	look("the first look at nothing", "", true)
	look("still nothing", "", false)
	write(path, "one")
	look("it came", "one", true)
	look("as it was", "", false)
	write(path, "three")
	look("another size", "three", true)

	write(path, "3333r")
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	look("another time", "3333r", true)

	write(path+".new", "swapp")
	if err := os.Chtimes(path+".new", time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	look("another file of the same size and time", "swapp", true)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	look("it went", "", true)
	look("still gone", "", false)
}
