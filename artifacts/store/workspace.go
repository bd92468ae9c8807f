package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

func (s *Store) checkpointPath(id artifacts.ActionID) string {
	return s.dir.Path("checkpoints", id.String())
}

// Checkpoint returns the directory in which the action may keep what it needs to
// go on after an interruption. It survives a kill and is never visible
// downstream. Call it while holding the action's lock.
func (s *Store) Checkpoint(id artifacts.ActionID) (string, error) {
	dir := s.checkpointPath(id)
	if _, err := s.dir.Begin(); err != nil {
		return "", err
	}
	if err := s.dir.Mkdir(dir); err != nil {
		return "", err
	}
	return dir, s.onlyFiles(dir)
}

// onlyFiles removes what is neither a file nor a directory and might keep a stage that
// reads its checkpoint waiting.
func (s *Store) onlyFiles(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Type().IsRegular() {
			return err
		}
		return s.dir.Remove(path)
	})
}

// HasCheckpoint reports whether there is something in the action's checkpoint
// directory to go on from. It makes none.
func (s *Store) HasCheckpoint(id artifacts.ActionID) bool {
	if fi, err := os.Stat(s.checkpointPath(id)); err != nil || !fi.IsDir() {
		return false
	}
	f, err := os.Open(s.checkpointPath(id))
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(1)
	return len(names) > 0
}

// Obstructed reports whether an error says that below a directory, such as a checkpoint's,
// there is a file where a directory should be, or the reverse: every attempt fails
// likewise until it is dropped.
func Obstructed(dir string, err error) bool {
	var path string
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		path = e.Path
	} else if e := (*os.LinkError)(nil); errors.As(err, &e) {
		path = e.New
	}
	return disk.InTheWay(err) && strings.HasPrefix(path, dir+string(filepath.Separator))
}

// DropCheckpoint removes the action's checkpoint directory, if there is one. It
// leaves its place at once, so that a part of it is never taken for a checkpoint.
func (s *Store) DropCheckpoint(id artifacts.ActionID) error {
	dir := s.checkpointPath(id)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	tmp, err := s.dir.Name()
	if err != nil {
		return err
	}
	if err := s.dir.Rename(dir, tmp); err != nil {
		return err
	}
	return s.dir.Remove(tmp)
}

// Temp returns a new empty directory on the store's own file system. The caller
// discards it; what a killed process left is collected later.
func (s *Store) Temp() (string, error) { return s.dir.Temp() }

// Discard removes a directory of Temp that is no longer needed.
func (s *Store) Discard(dir string) { s.dir.Discard(dir) }
