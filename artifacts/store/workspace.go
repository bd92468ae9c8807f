package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

func (s *Store) checkpointPath(id artifacts.ActionID) string {
	return s.dir.Path("checkpoints", id.String())
}

// attemptPrefix begins the name of the directory, within an action's checkpoint, that the
// attempt which took it last has; its number follows.
const attemptPrefix = "attempt-"

// Checkpoint takes the action's checkpoint, and returns the directory in which the action
// may keep what it needs to go on after an interruption. It survives a kill and is never
// visible downstream. Call it while holding the action's lock, or where whoever holds it is
// known to be cut off.
//
// Each call moves the directory to a new name, its content unchanged. That is a fence: an
// attempt that took it before and still runs, as on a node that the scheduler has lost,
// finds its own directory gone and can write no more.
func (s *Store) Checkpoint(id artifacts.ActionID) (string, error) {
	dir := s.checkpointPath(id)
	if _, err := s.dir.Begin(); err != nil {
		return "", err
	}
	if err := s.dir.Mkdir(dir); err != nil {
		return "", err
	}
	for {
		last, n, err := lastAttempt(dir)
		if err != nil {
			return "", err
		}
		mine := filepath.Join(dir, attemptPrefix+strconv.Itoa(n+1))
		if n == 0 {
			err = s.dir.Mkdir(mine)
		} else {
			err = s.dir.Rename(filepath.Join(dir, last), mine)
		}
		if errors.Is(err, fs.ErrNotExist) { // another attempt was faster
			continue
		} else if err != nil {
			return "", err
		}
		return mine, s.onlyFiles(mine)
	}
}

// Took reports whether a directory of Checkpoint is still that of the attempt which took it.
func (*Store) Took(dir string) bool {
	_, err := os.Stat(dir)
	return !errors.Is(err, fs.ErrNotExist)
}

// lastAttempt returns the directory of the attempt that took a checkpoint last, and its
// number; 0 where none has.
func lastAttempt(dir string) (name string, n int, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), attemptPrefix)
		if m, err := strconv.Atoi(number); ok && err == nil && m > n && e.IsDir() {
			name, n = e.Name(), m
		}
	}
	return name, n, err
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
	dir := s.checkpointPath(id)
	last, n, err := lastAttempt(dir)
	if err != nil || n == 0 {
		return false
	}
	f, err := os.Open(filepath.Join(dir, last))
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

// CheckpointTime returns when something was last kept in the action's checkpoint, as the file
// system says; the zero time for never.
func (s *Store) CheckpointTime(id artifacts.ActionID) (last time.Time) {
	_ = filepath.WalkDir(s.checkpointPath(id), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // what cannot be read is no checkpoint
		}
		if fi, err := e.Info(); err == nil && fi.ModTime().After(last) {
			last = fi.ModTime()
		}
		return nil
	})
	return last
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

// CheckpointDir returns the directory that the attempt has which took the action's checkpoint
// last; "" for none.
func (s *Store) CheckpointDir(id artifacts.ActionID) string {
	dir := s.checkpointPath(id)
	last, n, err := lastAttempt(dir)
	if err != nil || n == 0 {
		return ""
	}
	return filepath.Join(dir, last)
}
