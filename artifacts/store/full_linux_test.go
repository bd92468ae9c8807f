package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// On a full disk a store says so, keeps what it has, and goes on when there is
// room.
func TestDiskFull(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=600k"); err != nil {
		t.Skipf("cannot make a small file system: %v", err)
	}
	defer syscall.Unmount(mount, 0)
	root := filepath.Join(mount, "store")
	d := openDir(t, root)
	if err := commit(d, 0, func() {}); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(mount, "filler")
	if err := os.WriteFile(filler, make([]byte, 600<<10), 0o666); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := commit(d, 1, func() {}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("commit on a full disk: %v", err)
	}
	users := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(users, make([]byte, 100000), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Import(t.Context(), users); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Import on a full disk: %v", err)
	}
	checkCommitted(t, d, 0, true)
	checkCommitted(t, d, 1, false)
	os.Remove(filler)
	if err := commit(d, 1, func() {}); err != nil {
		t.Error(err)
	}
	d.Close()
	checkSound(t, root)
}
