package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

// keyed is a lock for each hash among the goroutines of this process.
type keyed struct {
	mu   sync.Mutex
	held map[[sha256.Size]byte]*holding
}

type holding struct {
	since time.Time
	done  chan struct{}
}

// lock waits until no other goroutine holds id, and calls waiting each time
// that it must wait.
func (k *keyed) lock(ctx context.Context, id [sha256.Size]byte, waiting func(holder string)) (unlock func(), err error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		k.mu.Lock()
		h := k.held[id]
		if h == nil {
			defer k.mu.Unlock()
			return k.hold(id), nil
		}
		k.mu.Unlock()
		waiting("this process, since " + h.since.Format(time.RFC3339))
		select {
		case <-h.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (k *keyed) hold(id [sha256.Size]byte) (unlock func()) {
	h := &holding{time.Now(), make(chan struct{})}
	if k.held == nil {
		k.held = map[[sha256.Size]byte]*holding{}
	}
	k.held[id] = h
	return sync.OnceFunc(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.held, id)
		close(h.done)
	})
}

// once makes a function of a caller's waiting that may be called any number of
// times, and calls it once.
func once(waiting func(string)) func(string) {
	var done sync.Once
	return func(holder string) {
		if waiting != nil {
			done.Do(func() { waiting(holder) })
		}
	}
}

// Lock waits until no other goroutine or process holds id, then holds it. The
// lock dies with its process. While it waits it calls waiting (when not nil),
// once, with a description of the holder.
//
// The lock is flock's on a file in locks/, which says who holds it, below a lock
// among this process's goroutines.
func (s *Store) Lock(ctx context.Context, id artifacts.ActionID, waiting func(holder string)) (func(), error) {
	waiting = once(waiting)
	release, err := s.locks.lock(ctx, id, waiting)
	if err != nil {
		return nil, err
	}
	f, err := s.lockFile(ctx, s.dir.Path("locks", id.String()), waiting)
	if err != nil {
		release()
		return nil, err
	}
	return sync.OnceFunc(func() {
		_ = s.dir.Unlock(f) // closing the file is what counts, and cannot fail
		release()
	}), nil
}

// lockFile polls: a goroutine that waits in flock could not be cancelled.
func (s *Store) lockFile(ctx context.Context, path string, waiting func(string)) (*os.File, error) {
	if _, err := s.dir.Begin(); err != nil {
		return nil, err
	}
	if err := s.dir.Mkdir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	const longest = 100 * time.Millisecond
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		f, err := s.dir.Lock(path)
		if err != nil {
			return nil, err
		}
		if f != nil {
			if err := f.Truncate(0); err == nil {
				_, _ = f.WriteString(me()) // for waiting processes; without it they know less
			}
			return f, nil
		}
		if holder := holderOf(path); holder != "" {
			waiting(holder)
		} else if pause == longest {
			waiting("another process")
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// me describes this process to those who wait for it.
func me() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("%s (pid %d on %s) since %s\n", filepath.Base(os.Args[0]), os.Getpid(), host, time.Now().Format(time.RFC3339))
}

// holderOf returns what the holder of the lock wrote, or "" if it has not yet.
func holderOf(path string) string {
	f, err := disk.OpenFile(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 1000))
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return string(b[:n-1])
	}
	return ""
}
