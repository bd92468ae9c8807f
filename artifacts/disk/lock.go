package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Lock takes the kernel's lock on the file at path, which it creates, or
// returns nil if it is held already. The lock ends with its process.
//
// Unlock removes the file before it releases the lock. So a file that was locked and is
// no longer the one at path locks nothing, and Lock tries again with the new one.
func (d *Dir) Lock(path string) (*os.File, error) {
	for {
		f, err := d.lockFile(path)
		if err != nil {
			return nil, err
		}
		if err := d.Try("flock", path, func() error { return flock(f) }); err != nil {
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

// lockFile opens the file at path, which it creates in place of anything else.
func (d *Dir) lockFile(path string) (f *os.File, err error) {
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
		if err := d.Remove(path); err != nil {
			return nil, err
		}
	}
	err = d.Try("lock", path, func() (err error) {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o666)
		return err
	})
	return f, err
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			return err
		}
	}
}

// Unlock gives back what Lock took.
func (d *Dir) Unlock(f *os.File) error {
	err := d.Remove(f.Name())
	return errors.Join(err, f.Close())
}
