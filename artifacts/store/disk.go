package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// disk does what changes a store, so that a test can make any step fail, or be
// the last one of its process.
type disk struct {
	fault func(op, path string) error // called before each step; nil but in tests
}

func (k disk) try(op, path string, f func() error) error {
	if k.fault != nil {
		if err := k.fault(op, path); err != nil {
			return &fs.PathError{Op: op, Path: path, Err: err}
		}
	}
	return f()
}

// mkdir makes a directory, and those above it, that lasts.
func (k disk) mkdir(path string) error {
	err := k.mkdirIn(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := k.mkdir(filepath.Dir(path)); err != nil {
			return err
		}
		err = k.mkdirIn(path)
	}
	return err
}

// mkdirIn makes a directory in one that is there.
func (k disk) mkdirIn(path string) error {
	err := k.try("mkdir", path, func() error { return os.Mkdir(path, 0o777) })
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return k.syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory last.
func (k disk) syncDir(path string) error {
	return k.try("syncdir", path, func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// create creates a new file that fill writes. If it is durable its content
// lasts.
func (k disk) create(path string, perm fs.FileMode, durable bool, fill func(*os.File) error) (err error) {
	var f *os.File
	err = k.try("create", path, func() (err error) {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			os.Remove(path)
		}
	}()
	if err := k.try("write", path, func() error { return fill(f) }); err != nil {
		return err
	}
	if perm != writable {
		if err := k.freeze(f, perm); err != nil {
			return err
		}
	}
	if !durable {
		return nil
	}
	return k.sync(f)
}

func (k disk) sync(f *os.File) error { return k.try("sync", f.Name(), f.Sync) }

const (
	frozen   fs.FileMode = 0o444 // of an object
	writable fs.FileMode = 0o666 // of any other file, less the umask
)

// frozenTime is the modification time of every object. Whoever writes to one
// moves it, so that an object's stamp shows every write, without a racy window.
// Every file system can hold this time exactly.
var frozenTime = time.Unix(1_000_000_000, 0)

func isFrozen(st stamp) bool { return st.mtime == frozenTime.UnixNano() }

// freeze makes an open file an object: read-only, and of the frozen time.
func (k disk) freeze(f *os.File, perm fs.FileMode) error {
	return k.try("freeze", f.Name(), func() error {
		if err := f.Chmod(perm); err != nil {
			return err
		}
		return os.Chtimes(f.Name(), time.Time{}, frozenTime)
	})
}

// move gives the file or directory at from the name to, in place of the file
// that has it now. The directory of to is made if needed.
func (k disk) move(from, to string) error {
	err := k.rename(from, to)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := k.mkdir(filepath.Dir(to)); err != nil {
		return err
	}
	return k.rename(from, to)
}

// publish is move that lasts, as from does.
func (k disk) publish(from, to string) error {
	if err := k.move(from, to); err != nil {
		return err
	}
	return k.syncDir(filepath.Dir(to))
}

func (k disk) rename(from, to string) error {
	return k.try("rename", to, func() error { return os.Rename(from, to) })
}

func (k disk) link(from, to string) error {
	return k.try("link", to, func() error { return os.Link(from, to) })
}

// remove removes what is at path, if anything.
func (k disk) remove(path string) error {
	return k.try("remove", path, func() error { return os.RemoveAll(path) })
}

// lock takes the kernel's lock on the file at path, which it creates, or
// returns nil if somebody else holds it. The lock ends with its process.
//
// Who releases a lock removes its file first. So a file that was locked and is
// no longer the one at path is a lock of nothing, and the next one is tried.
func (k disk) lock(path string) (*os.File, error) {
	for {
		var f *os.File
		err := k.try("lock", path, func() (err error) {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := k.try("flock", path, func() error { return flock(f) }); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, nil
			}
			return nil, fmt.Errorf("lock %s: %w (a store must be on a file system with locks)", path, err)
		}
		mine, err := f.Stat()
		if err == nil {
			var now fs.FileInfo
			if now, err = os.Stat(path); err == nil && os.SameFile(mine, now) {
				return f, nil
			}
		}
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			return err
		}
	}
}

// unlock gives back what lock took.
func (k disk) unlock(f *os.File) error {
	err := k.remove(f.Name())
	return errors.Join(err, f.Close())
}
