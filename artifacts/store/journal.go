package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"eyrie/artifacts/disk"
)

// Journal creates the journal of a run, to which events are appended. It fails
// with fs.ErrExist if the run has one. While it is open the kernel holds a lock on the
// file, which dies with the process: so [Store.Writing] tells a run that goes on from
// one that was killed.
func (s *Store) Journal(run string) (io.WriteCloser, error) {
	if !isRun(run) {
		return nil, fmt.Errorf("run %q cannot be a file's name", run)
	}
	if _, err := s.dir.Begin(); err != nil {
		return nil, err
	}
	if err := s.dir.Mkdir(s.dir.Path("runs")); err != nil {
		return nil, err
	}
	path := s.journalPath(run)
	j := journal{dir: s.dir}
	err := s.dir.Try("create", path, func() (err error) {
		j.File, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := flock(j.File, syscall.LOCK_EX); err != nil { // waits for those that look, for a moment
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), j.Close())
	}
	return j, nil
}

func isRun(name string) bool {
	return name != "" && filepath.Base(name) == name && name[0] != '.'
}

func (s *Store) journalPath(run string) string { return s.dir.Path("runs", run+journalExt) }

const journalExt = ".jsonl"

// journal is a file that lasts once it is closed.
type journal struct {
	*os.File
	dir *disk.Dir
}

// Close syncs the file and its name, and closes it.
func (j journal) Close() error {
	return errors.Join(j.dir.SyncAll([]*os.File{j.File}, []string{filepath.Dir(j.Name())}), j.File.Close())
}

// Runs returns the runs that have a journal, in the order of their names, which begin
// with the time.
func (s *Store) Runs() ([]string, error) {
	entries, err := s.entries("runs")
	var runs []string
	for _, e := range entries {
		if run, ok := strings.CutSuffix(e.Name(), journalExt); ok && isRun(run) {
			runs = append(runs, run)
		}
	}
	return runs, err
}

// OpenJournal opens the journal of a run for reading. It takes no lock, and the file may
// grow meanwhile. The error is ErrNotFound where there is none.
func (s *Store) OpenJournal(run string) (*os.File, error) {
	if !isRun(run) {
		return nil, ErrNotFound
	}
	f, err := disk.OpenFile(s.journalPath(run))
	if err != nil {
		return nil, missing(err)
	}
	return f, nil
}

// Writing reports whether a living process has the journal open, as [Store.OpenJournal]
// returned it, for writing.
func Writing(journal *os.File) bool {
	err := flock(journal, syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		_ = flock(journal, syscall.LOCK_UN)
	}
	return errors.Is(err, syscall.EWOULDBLOCK)
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}
