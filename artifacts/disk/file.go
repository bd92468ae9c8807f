package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Try does one step that changes something in the directory, unless Fault says
// how it fails.
func (d *Dir) Try(op, path string, f func() error) error {
	if d.Fault != nil {
		if err := d.Fault(op, path); err != nil {
			return &fs.PathError{Op: op, Path: path, Err: err}
		}
	}
	err := f()
	if err == nil && d.Done != nil {
		d.Done(op, path)
	}
	return err
}

// OpenFile opens the regular file at path for reading. Where anything else is there,
// which might keep a reader waiting (a pipe) or be no file of this Dir's, there is no
// file: the error is fs.ErrNotExist.
func OpenFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		fi, err := f.Stat()
		if err == nil && fi.Mode().IsRegular() {
			return f, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if InTheWay(err) || errors.Is(err, syscall.ENXIO) {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return nil, err
}

// Lstat returns the stamp of what is at path, and whether that is a regular file. It does what
// os.Lstat does without making anything: a plan asks for three files of each step.
func Lstat(path string) (st Stamp, regular bool, err error) {
	var raw syscall.Stat_t
	if err := again(func() error { return syscall.Lstat(path, &raw) }); err != nil {
		return Stamp{}, false, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return stampOf(&raw), raw.Mode&syscall.S_IFMT == syscall.S_IFREG, nil
}

// again calls f until no signal has interrupted it.
func again(f func() error) error {
	for {
		if err := f(); err != syscall.EINTR {
			return err
		}
	}
}

// ReadSmall appends the content of the regular file at path to b. It is OpenFile and a read
// in as few steps as there can be: a plan reads a record for each step.
func ReadSmall(path string, b []byte) ([]byte, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		return err
	})
	if InTheWay(err) || errors.Is(err, syscall.ENXIO) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return b, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	var raw syscall.Stat_t
	if err := syscall.Fstat(fd, &raw); err != nil {
		return b, &fs.PathError{Op: "fstat", Path: path, Err: err}
	}
	if raw.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return b, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	for left := int(raw.Size); left > 0; { // what is written meanwhile is for another reader
		b = slices.Grow(b, left)
		var n int
		err := again(func() (err error) { n, err = syscall.Read(fd, b[len(b):len(b)+left]); return err })
		if err != nil {
			return b, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			break
		}
		b, left = b[:len(b)+n], left-n
	}
	return b, nil
}

// InTheWay reports whether an error says that there is something else at a path, or
// on the way to it: a directory in place of a file, the reverse, a link to itself.
func InTheWay(err error) bool {
	for _, is := range []error{syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, fs.ErrExist} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// ReadFile is os.ReadFile by way of OpenFile.
func ReadFile(path string) ([]byte, error) {
	b, err := ReadSmall(path, nil)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ReadDir is os.ReadDir, and fails at once where there is a pipe.
func ReadDir(path string) ([]fs.DirEntry, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Mkdir makes a directory, and those above it, that lasts. It is no error if it
// is there. What is there and no directory is removed.
func (d *Dir) Mkdir(path string) error {
	err := d.mkdirIn(path)
	if errors.Is(err, fs.ErrNotExist) || InTheWay(err) && d.holds(path) {
		if err := d.Mkdir(filepath.Dir(path)); err != nil {
			return err
		}
		err = d.mkdirIn(path)
	}
	return err
}

// mkdirIn makes a directory in one that is there.
func (d *Dir) mkdirIn(path string) error {
	mkdir := func() error { return os.Mkdir(path, 0o777) }
	err := d.Try("mkdir", path, mkdir)
	if errors.Is(err, fs.ErrExist) {
		if fi, err := os.Stat(path); err == nil && fi.IsDir() || !d.holds(path) {
			return nil
		}
		if err := d.Remove(path); err != nil {
			return err
		}
		if err = d.Try("mkdir", path, mkdir); errors.Is(err, fs.ErrExist) {
			return nil // another process was faster
		}
	}
	if err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(path))
}

// holds reports whether a path is within the directory, whose own what is there then is.
func (d *Dir) holds(path string) bool {
	return strings.HasPrefix(path, d.root+string(filepath.Separator))
}

// syncDir makes the names in a directory last.
func (d *Dir) syncDir(path string) error {
	return d.Try("syncdir", path, func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// Write creates a file, which must not be there yet, and has fill write it. If
// it is durable, its content outlasts a loss of power. Where it fails no file is
// left.
func (d *Dir) Write(path string, perm fs.FileMode, durable bool, fill func(*os.File) error) error {
	f, err := d.Make(path, perm, fill)
	if err != nil {
		return err
	}
	if durable {
		err = d.Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

// Make is Write that leaves the file open, for a Sync that comes later, together
// with others.
func (d *Dir) Make(path string, perm fs.FileMode, fill func(*os.File) error) (f *os.File, err error) {
	err = d.Try("create", path, func() (err error) {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = d.Try("write", path, func() error { return fill(f) })
	if err == nil && perm != Writable {
		err = d.Freeze(f, perm)
	}
	if err != nil {
		os.Remove(path)
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Sync makes the content of an open file last.
func (d *Dir) Sync(f *os.File) error { return d.Try("sync", f.Name(), f.Sync) }

// Freeze makes an open file an object: read-only, and of the frozen time.
func (d *Dir) Freeze(f *os.File, perm fs.FileMode) error {
	return d.Try("freeze", f.Name(), func() error {
		if err := f.Chmod(perm); err != nil {
			return err
		}
		return os.Chtimes(f.Name(), time.Time{}, FrozenTime)
	})
}

// Move gives the file or directory at from the name to, in place of the file
// that has it now. The directory of to is made if needed, and what is in the way
// is removed: a file where a directory must be, or the reverse.
func (d *Dir) Move(from, to string) error {
	err := d.Rename(from, to)
	if !errors.Is(err, fs.ErrNotExist) && !InTheWay(err) {
		return err
	}
	if err := d.Mkdir(filepath.Dir(to)); err != nil {
		return err
	}
	mine, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if other, err := os.Lstat(to); err == nil && other.IsDir() != mine.IsDir() {
		if err := d.Remove(to); err != nil {
			return err
		}
	}
	return d.Rename(from, to)
}

// Publish is Move that lasts, as from does.
func (d *Dir) Publish(from, to string) error {
	if err := d.Move(from, to); err != nil {
		return err
	}
	return d.SyncAll(nil, []string{filepath.Dir(to)})
}

// Rename is os.Rename as a step.
func (d *Dir) Rename(from, to string) error {
	return d.Try("rename", to, func() error { return os.Rename(from, to) })
}

// Link is os.Link as a step.
func (d *Dir) Link(from, to string) error {
	return d.Try("link", to, func() error { return os.Link(from, to) })
}

// Remove removes what is at path, if anything.
func (d *Dir) Remove(path string) error {
	return d.Try("remove", path, func() error { return os.RemoveAll(path) })
}

// Replace gives the file at path the content b, at once. If it is durable, it
// outlasts a loss of power.
func (d *Dir) Replace(path string, b []byte, durable bool) error {
	tmp, err := d.Name()
	if err != nil {
		return err
	}
	write := func(f *os.File) error { _, err := f.Write(b); return err }
	if err := d.Write(tmp, Writable, durable, write); err != nil {
		return err
	}
	if durable {
		return d.Publish(tmp, path)
	}
	return d.Move(tmp, path)
}
