package source_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"eyrie/hcl/source"
)

// Only regular files of a bounded size are read; for others the error says which
// file it is and what is wrong with it, at once.
func TestReadIsBounded(t *testing.T) {
	dir := t.TempDir()
	pipe, large, fine := filepath.Join(dir, "pipe"), filepath.Join(dir, "large"), filepath.Join(dir, "fine")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	for path, size := range map[string]int64{large: source.Limit + 1, fine: source.Limit} {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	if b, err := source.Disk.ReadFile("/proc/self/status"); !errors.Is(err, fs.ErrNotExist) && len(b) == 0 { // which says that it has no size
		t.Errorf("a file of the kernel: %d bytes, %v", len(b), err)
	}
	for path, want := range map[string]error{
		pipe: source.ErrIrregular, "/dev/zero": source.ErrIrregular, link: source.ErrIrregular, dir: source.ErrIrregular,
		large: source.ErrTooLarge, filepath.Join(dir, "none"): fs.ErrNotExist, fine: nil,
	} {
		b, err := source.Disk.ReadFile(path)
		if !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %d bytes, %v; want %v", path, len(b), err, want)
		}
	}
	over := source.Overlay(source.Disk, map[string][]byte{fine: make([]byte, source.Limit+1)})
	if _, err := over.ReadFile(fine); !errors.Is(err, source.ErrTooLarge) {
		t.Errorf("a buffer that is too large: %v", err)
	}
}

// A buffer hides its file, and is there without one, as is its directory.
func TestOverlay(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.hcl", "b.hcl"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("disk"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	files := source.Overlay(source.Disk, map[string][]byte{
		"b.hcl": []byte("buffer"), filepath.Join(dir, "c.hcl"): []byte("new"), filepath.Join(dir, "sub", "deep", "d.hcl"): []byte("deep"),
	})
	for path, want := range map[string]string{"a.hcl": "disk", filepath.Join(dir, "b.hcl"): "buffer", "./c.hcl": "new", "sub/deep/../deep/d.hcl": "deep"} {
		b, err := files.ReadFile(path)
		if err != nil || string(b) != want {
			t.Errorf("%s: %q, %v; want %q", path, b, err, want)
		}
		info, err := files.Stat(path)
		if err != nil || info.Size() != int64(len(want)) || !info.Mode().IsRegular() || info.Name() != filepath.Base(path) {
			t.Errorf("%s: %+v, %v", path, info, err)
		}
	}
	for path, want := range map[string][]string{".": {"a.hcl", "b.hcl", "c.hcl", "sub"}, "sub": {"deep"}, "sub/deep": {"d.hcl"}} {
		entries, err := files.ReadDir(path)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%s has %v, %v; want %v", path, names, err, want)
		}
		if info, err := files.Stat(path); err != nil || !info.IsDir() {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	for _, path := range []string{"none.hcl", "none/x.hcl", "su"} {
		if _, err := files.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := files.ReadDir("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
