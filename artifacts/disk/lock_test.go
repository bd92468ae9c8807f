package disk

import (
	"os"
	"path/filepath"
	"testing"
)

// The file of a lock is removed when the lock is given back. A process that opened it just
// before, and got the lock of a file that is no more, does not hold the lock.
func TestLockOfARemovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var first, second *os.File
	take := func() (f *os.File) {
		f, err := new(Dir).Lock(path)
		if err != nil || f == nil {
			t.Fatal(f, err)
		}
		return f
	}
	first = take()
	late := &Dir{Fault: func(op, _ string) error {
		if op == "flock" && second == nil {
			if err := new(Dir).Unlock(first); err != nil {
				t.Fatal(err)
			}
			second = take()
		}
		return nil
	}}
	if f, err := late.Lock(path); f != nil || err != nil {
		t.Errorf("two hold the lock: %v, %v", f, err)
	}
	if err := new(Dir).Unlock(second); err != nil {
		t.Error(err)
	}
}
