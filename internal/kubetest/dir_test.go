package kubetest

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

func TestTheFolderOfADeadProcessIsRemoved(t *testing.T) {
	parent := t.TempDir()
	dead, err := newDirIn(parent)
	if err != nil {
		t.Fatal(err)
	}
	alive, err := newDirIn(parent)
	if err != nil {
		t.Fatal(err)
	}
	// A process that ends leaves its lock open to others.
	if err := dead.lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := newDirIn(parent); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dead process's folder: %v", err)
	}
	if _, err := os.Stat(alive.path); err != nil {
		t.Errorf("the living process's folder: %v", err)
	}
}
