package store

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"eyrie/artifacts"
)

// damages calls f with b cut at every byte, with every bit flipped, one at a
// time, and with something behind it; with a stride, at every stride-th byte.
func damages(b []byte, stride int, f func(bad []byte)) {
	for i := 0; i < len(b); i += stride {
		f(b[:i:i])
		for bit := range 8 {
			bad := append([]byte(nil), b...)
			bad[i] ^= 1 << bit
			f(bad)
		}
	}
	f(append(append([]byte(nil), b...), '\n'))
	f(append(append([]byte(nil), b...), b...))
}

// overwrite replaces the content of a file in place, as a fault of the disk
// does: its times stay, as far as anybody can make them.
func overwrite(t *testing.T, path string, b []byte) {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, fi.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func small(t *testing.T, d *Store) Record {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.MkdirAll(filepath.Join(dir, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	file, err := d.Import(t.Context(), filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := d.Import(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	preimage := []byte(`{"a":1}`)
	r := Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Output: []byte(`2`), Objects: []artifacts.File{tree, file}, Step: "step"}
	if err := d.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := d.SetLast("step", r.Action); err != nil {
		t.Fatal(err)
	}
	return r
}

// A damaged record, or what a step did last, is a miss.
func TestDamagedActions(t *testing.T) {
	t.Parallel()
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	r := small(t, d)
	for path, read := range map[string]func() error{
		actionPath(d, r.Action): func() error { _, err := d.Lookup(t.Context(), r.Action); return err },
		d.lastPath("step"):      func() error { _, err := d.Last("step"); return err },
	} {
		if err := read(); err != nil {
			t.Fatal(err)
		}
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		damages(good, 1, func(bad []byte) {
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := read(); !errors.Is(err, ErrNotFound) {
				t.Fatalf("%s read as %q: %v", path, bad, err)
			}
		})
	}
	small(t, d)
	if _, err := d.Lookup(t.Context(), r.Action); err != nil {
		t.Errorf("recorded again: %v", err)
	}
}

// A record under another action's name is a miss.
func TestRecordOfAnotherAction(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	r := small(t, d)
	other := testRecord(1)
	if err := d.Record(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(actionPath(d, r.Action), actionPath(d, other.Action)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lookup(t.Context(), other.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Lookup: %v", err)
	}
}

// However an object, a manifest or a tree's file is damaged, the record is a
// miss, whose record still says what was done; the wrong content is never read;
// and when the step is done again all is well, without any repair.
func TestDamagedObjects(t *testing.T) {
	t.Parallel()
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	r := small(t, d)
	for _, f := range r.Objects {
		path := d.objectPath(f.Digest)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string) {
			t.Helper()
			got, err := d.Lookup(t.Context(), r.Action)
			if !errors.Is(err, ErrNotFound) || string(got.Preimage) != string(r.Preimage) {
				t.Fatalf("%s: Lookup: %+v, %v", what, got, err)
			}
			if _, err := os.Lstat(path); err == nil {
				t.Fatalf("%s: it is still there", what)
			}
			small(t, d)
			if _, err := d.Lookup(t.Context(), r.Action); err != nil {
				t.Fatalf("%s, done again: %v", what, err)
			}
		}
		damages(good, 1+len(good)/10, func(bad []byte) {
			overwrite(t, path, bad)
			check("damaged")
		})
		os.Remove(path)
		check("removed")
		os.Remove(path)
		os.Mkdir(path, 0o777)
		check("a directory")
		os.Remove(path)
		os.Symlink("/dev/zero", path)
		check("a link")
	}
}

// A tree whose manifest is there and one of whose files is not is a miss.
func TestTreeWithoutItsFile(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	r := small(t, d)
	tree, file := r.Objects[0], r.Objects[1]
	r.Objects = []artifacts.File{tree}
	if err := d.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.objectPath(file.Digest)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lookup(t.Context(), r.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Lookup: %v", err)
	}
	if _, err := d.Fetch(t.Context(), tree); !errors.Is(err, ErrNotFound) {
		t.Errorf("Fetch: %v", err)
	}
}

// Open says ErrDamaged instead of io.EOF, also where the stat cache knows
// nothing of it, as when a disk loses a bit; from then on the record is a miss.
func TestOpenDamaged(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	r := small(t, d)
	file := r.Objects[1]
	overwrite(t, d.objectPath(file.Digest), []byte("CONTENT"))
	mislead(t, d, file.Digest)
	if _, err := d.Lookup(t.Context(), r.Action); err != nil {
		t.Fatalf("this test is about what the stat cache hides: %v", err)
	}
	rd, err := d.Open(t.Context(), file.Digest)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(rd)
	rd.Close()
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("read %q, %v", b, err)
	}
	d.Close()
	d = openDir(t, d.dir.Path())
	if _, err := d.Lookup(t.Context(), r.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Lookup: %v", err)
	}
}

// What another process put in place of a damaged object is not removed as if it
// were the damaged one.
func TestDiscardSparesTheGood(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	r := small(t, d)
	digest := r.Objects[1].Digest
	path := d.objectPath(digest)
	overwrite(t, path, []byte("CONTENT"))
	bad, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	other := openDir(t, d.dir.Path())
	defer other.Close()
	small(t, other)
	if err := d.discard(digest, bad); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if _, err := d.Lookup(t.Context(), r.Action); err != nil {
		t.Errorf("the good object is gone: %v", err)
	}
}

// A damaged stat cache is an empty one: it costs time and is never wrong.
func TestDamagedStatCache(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	d := openDir(t, root)
	r := small(t, d)
	d.Close()
	good, err := os.ReadFile(d.cache.path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(parseStatCache(good, time.Now())); n == 0 {
		t.Fatal("the stat cache is empty")
	}
	damages(good, 1, func(bad []byte) {
		if n := len(parseStatCache(bad, time.Now())); n != 0 {
			t.Fatalf("a damaged stat cache has %d entries", n)
		}
	})
	if err := os.WriteFile(d.cache.path, good[:len(good)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, root)
	if _, err := d.Lookup(t.Context(), r.Action); err != nil {
		t.Error(err)
	}
	d.Close()
	if b, _ := os.ReadFile(d.cache.path); len(parseStatCache(b, time.Now())) == 0 {
		t.Error("the stat cache was not made anew")
	}
}

// A damaged format file does not make a store unusable; it is made anew.
func TestDamagedFormat(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	d := openDir(t, root)
	r := small(t, d)
	d.Close()
	path := filepath.Join(root, "format")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damages(good, 1, func(bad []byte) {
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		d := openDir(t, root)
		if _, err := d.Lookup(t.Context(), r.Action); err != nil {
			t.Fatalf("format %q: %v", bad, err)
		}
		d.Close()
	})
	d = openDir(t, root)
	small(t, d)
	if err := d.SetLast("new", r.Action); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if b, err := os.ReadFile(path); err != nil || string(b) != string(good) {
		t.Errorf("format is %q, %v", b, err)
	}
}
