package disk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Two lock files let a collection work beside runs. A user of what is in the directory
// holds "use" shared, for moments; the collection holds it alone. Before, each passes
// "turn", where the collection waits for nobody but another one, so that users who come
// and go do not keep it waiting for ever.
const useLock, turnLock = "use.lock", "turn.lock"

// Hold keeps a collection from removing anything until release is called. Where there
// is no directory, or nothing in it can be locked by this process, there is nothing to
// hold.
func (d *Dir) Hold(ctx context.Context) (release func(), err error) {
	turn, err := d.share(ctx, turnLock)
	if turn == nil || err != nil {
		return func() {}, err
	}
	defer turn.Close()
	use, err := d.share(ctx, useLock)
	if use == nil || err != nil {
		return func() {}, err
	}
	return func() { use.Close() }, nil
}

// share takes a lock together with others who share it. It returns nil where there is no
// store yet, whose first file must be another one, or this process may not make the file.
func (d *Dir) share(ctx context.Context, name string) (*os.File, error) {
	if _, err := os.Lstat(d.Path("format")); err != nil {
		return nil, nil
	}
	f, err := d.lockFile(d.Path(name))
	if errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
		f, err = OpenFile(d.Path(name))
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return f, lockFor(ctx, f, syscall.LOCK_SH)
}

// Alone waits until nobody holds the directory, and keeps others from it until
// release is called.
func (d *Dir) Alone(ctx context.Context) (release func(), err error) {
	if _, err := d.Begin(); err != nil {
		return nil, err
	}
	var held []*os.File
	release = func() {
		for _, f := range held {
			f.Close()
		}
	}
	for _, name := range []string{turnLock, useLock} {
		f, err := d.lockFile(d.Path(name))
		if err == nil {
			held = append(held, f)
			err = lockFor(ctx, f, syscall.LOCK_EX)
		}
		if err != nil {
			release()
			return nil, err
		}
	}
	return release, nil
}

// lockFor polls: a goroutine that waits in flock could not be cancelled.
func lockFor(ctx context.Context, f *os.File, how int) error {
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case err != syscall.EWOULDBLOCK && err != syscall.EINTR:
			f.Close()
			return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			f.Close()
			return ctx.Err()
		}
	}
}
