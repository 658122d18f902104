package volumes

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// trashName is the folder where deleted volumes wait to be removed. No volume has this
// name: names of Kubernetes begin with a letter or a digit.
const trashName = ".trash"

// store is the folder that holds the volumes' folders.
type store struct {
	dir string
	log *slog.Logger
}

func (s *store) path(volume string) string { return filepath.Join(s.dir, volume) }

func (s *store) trash() string { return filepath.Join(s.dir, trashName) }

// checkName refuses names that would lead out of the folder or into the trash.
func checkName(volume string) error {
	if volume == "" || volume != filepath.Base(volume) || strings.HasPrefix(volume, ".") {
		return fmt.Errorf("%q is not the name of a volume", volume)
	}
	return nil
}

// create makes a volume's folder. Finding it empty is fine: an attempt before this one
// did not get to record the volume.
func (s *store) create(volume string) (string, error) {
	if err := checkName(volume); err != nil {
		return "", err
	}
	path := s.path(volume)
	if err := os.Mkdir(path, 0o770); err != nil && !errors.Is(err, fs.ErrExist) { // the group is the pod's fsGroup.
		return "", fmt.Errorf("making the volume's folder: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", fmt.Errorf("reading the volume's folder: %w", err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("the folder of volume %s has content already", volume)
	}
	// Mkdir's mode is subject to the umask.
	if err := os.Chmod(path, 0o770); err != nil { // the group is the pod's fsGroup.
		return "", fmt.Errorf("setting the mode of the volume's folder: %w", err)
	}
	return path, nil
}

// remove makes a volume's folder disappear, at once by its name and then for good.
// A volume that is gone already is no error.
func (s *store) remove(volume string) error {
	if err := checkName(volume); err != nil {
		return err
	}
	trashed := filepath.Join(s.trash(), volume)
	err := os.Rename(s.path(volume), trashed)
	if errors.Is(err, fs.ErrExist) {
		// Half removed once before, and there again: the trash has to go first.
		if err := os.RemoveAll(trashed); err != nil {
			return fmt.Errorf("emptying the trash: %w", err)
		}
		err = os.Rename(s.path(volume), trashed)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("moving volume %s to the trash: %w", volume, err)
	}
	if err := os.RemoveAll(trashed); err != nil {
		return fmt.Errorf("removing the content of volume %s: %w", volume, err)
	}
	return nil
}

// open makes the folder if needed and removes what an earlier run left behind.
// known are the volumes that exist.
func (s *store) open(known map[string]bool) error {
	for _, dir := range []string{s.dir, s.trash()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the folder for volumes: %w", err)
		}
	}
	left, err := os.ReadDir(s.trash())
	if err != nil {
		return fmt.Errorf("reading the trash: %w", err)
	}
	for _, entry := range left {
		if err := os.RemoveAll(filepath.Join(s.trash(), entry.Name())); err != nil {
			return fmt.Errorf("emptying the trash: %w", err)
		}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("reading the folder for volumes: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == trashName || known[entry.Name()] {
			continue
		}
		// os.Remove takes only empty folders.
		if err := os.Remove(s.path(entry.Name())); err != nil {
			s.log.Warn("kept a folder that belongs to no volume", "folder", s.path(entry.Name()), "reason", err)
		}
	}
	return nil
}
