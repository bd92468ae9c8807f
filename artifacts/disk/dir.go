// Package disk is a directory that processes share and that none of them can
// leave damaged: what [blob.Bucket] is on this machine.
//
// Every file is made complete in tmp, synced to the disk, and then renamed to
// its place. So a process may be killed, and the machine lose power, at any
// moment: what is there is whole. Nothing needs to be repaired by hand.
package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"eyrie/artifacts/blob"
	"eyrie/artifacts/seal"
)

// Dir is such a directory:
//
//	format              which layout this is
//	objects/ab/cdef…    blobs of objects; read-only
//	actions/ab/cdef…    blobs of records
//	tmp/                what is being made, a directory for each process
//
// What else is in it is its user's. A directory that does not exist is made by
// the first method that writes. Its methods may be called by many goroutines.
type Dir struct {
	// Fault is called before each step that changes something, with what it is
	// and where, and can make the step fail. It is nil but in tests.
	Fault func(op, path string) error
	// Done is called after each such step that was done. It is nil but in tests.
	Done func(op, path string)

	root string

	mu      sync.Mutex
	session *os.File // holds the lock of this process's directory in tmp; nil until something is written
	temp    string   // tmp without links, from then on
	used    []string // empty directories of Temp, to be used again
	names   atomic.Uint64
	lasting sync.Map // paths of directories whose own names were synced
}

var _ blob.Bucket = (*Dir)(nil)

// layout is the number of the layout that Dir describes.
const layout = 1

// Open opens the directory at path, which need not exist yet. It fails if path
// is something else, or was made by a newer version of this program.
func Open(path string) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	d := &Dir{root: root}
	if err := d.checkLayout(); err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	return d, nil
}

// Close removes the directories of Temp.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return nil
	}
	err := d.Remove(sessionDir(d.session))
	err = errors.Join(err, d.Unlock(d.session))
	d.session, d.used = nil, nil
	return err
}

// Path returns the path of what is called elem in the directory.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.root}, elem...)...)
}

// formatFile is the content of the file "format".
func formatFile(layout int) []byte { return seal.Wrap("format", []byte(strconv.Itoa(layout))) }

// IsStore reports whether the directory at path, which has these entries, is a Dir.
func IsStore(path string, entries []fs.DirEntry) bool {
	for _, e := range entries {
		if e.Name() != "format" || !e.Type().IsRegular() {
			continue
		}
		if fi, err := e.Info(); err != nil || fi.Size() > 1000 {
			return false
		}
		b, err := ReadFile(filepath.Join(path, e.Name()))
		if err == nil {
			_, err = seal.Open("format", b)
		}
		return err == nil
	}
	return false
}

// checkLayout fails if the directory is there and not a store, or one of a
// layout that this program does not know.
func (d *Dir) checkLayout() error {
	names, err := ReadDir(d.root)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return nil
	} else if errors.Is(err, syscall.ENOTDIR) {
		return errors.New("this is not a directory; name another one with --store")
	} else if err != nil {
		return err
	}
	b, err := ReadFile(filepath.Join(d.root, "format"))
	if errors.Is(err, fs.ErrNotExist) {
		if d.wasStore() {
			return nil // its format was lost: made anew by the first write
		}
		return errors.New("this directory is not a store, and not empty; name another one with --store")
	} else if err != nil {
		return err
	}
	body, err := seal.Open("format", b)
	if err != nil {
		return nil // damaged: made anew by the first write
	}
	if n, err := strconv.Atoi(string(body)); err != nil || n > layout {
		return fmt.Errorf("its format is %s and this program knows up to %d: use a newer version of it, or another store", body, layout)
	}
	return nil
}

// wasStore reports whether a directory without format is a store otherwise: it has
// the tag of one, or objects and records.
func (d *Dir) wasStore() bool {
	if b, err := ReadFile(d.Path("CACHEDIR.TAG")); err == nil && string(b) == cacheTag {
		return true
	}
	for _, kind := range []blob.Kind{blob.Object, blob.Action} {
		if fi, err := os.Stat(d.Path(string(kind))); err != nil || !fi.IsDir() {
			return false
		}
	}
	return true
}

const cacheTag = "Signature: 8a477f597d28d172789f06886806bc55\n# This directory holds results that can be made again.\n"

// lay makes the directory a store. Its first file says so, for a process that
// is killed in between.
func (d *Dir) lay() error {
	if err := d.Mkdir(d.root); err != nil {
		return err
	}
	for _, f := range []struct{ name, content string }{
		{"format", string(formatFile(layout))},
		{".gitignore", "*\n"},
		{"CACHEDIR.TAG", cacheTag},
	} {
		path := filepath.Join(d.root, f.name)
		if b, err := ReadFile(path); err == nil && bytes.Equal(b, []byte(f.content)) {
			continue
		}
		if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
			if err := d.Remove(path); err != nil {
				return err
			}
		}
		if err := d.mark(path, f.content); err != nil {
			return err
		}
	}
	return nil
}

// mark makes a file that says what the directory is. It lasts before anything else is
// there: a directory that has other files and not this one belongs to somebody else.
func (d *Dir) mark(path, content string) error {
	return d.Try("create", path, func() error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
		if err != nil {
			return err
		}
		_, err = f.WriteString(content)
		if err == nil {
			err = d.SyncAll([]*os.File{f}, []string{d.root})
		}
		return errors.Join(err, f.Close())
	})
}
