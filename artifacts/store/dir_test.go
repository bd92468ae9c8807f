package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// A store that is only asked makes nothing: not even its directory.
func TestReadingMakesNothing(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	d := openDir(t, filepath.Join(parent, "a", "store"))
	d.Lookup(t.Context(), artifacts.ActionID{})
	d.Last("step")
	d.Open(t.Context(), artifacts.Digest{})
	d.Fetch(t.Context(), artifacts.File{Tree: true})
	d.DropCheckpoint(artifacts.ActionID{})
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	age(t, path)
	hashed(t, d, path)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("there is %v, %v", left, err)
	}
}

// What is in a store is there for the next process, also when the store has
// been moved, and then without rehashing.
func TestReopened(t *testing.T) {
	parent := t.TempDir()
	d := openDir(t, filepath.Join(parent, "store"))
	if err := commit(d, 1, func() {}); err != nil {
		t.Fatal(err)
	}
	d.Close()
	moved := filepath.Join(parent, "moved")
	if err := os.Rename(d.dir.Path(), moved); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, moved)
	defer d.Close()
	checkCommitted(t, d, 1, true)
	if n := len(d.cache.learnt) + len(d.outer.learnt); n != 0 {
		t.Errorf("%d files were hashed again", n)
	}
	if id, err := d.Last(testRecord(1).Step); err != nil || id != testRecord(1).Action {
		t.Errorf("Last: %v, %v", id, err)
	}
}

// Git does not see a store, and a backup may leave it out.
func TestStoreIsMarked(t *testing.T) {
	repo := t.TempDir()
	d := openDir(t, filepath.Join(repo, ".eyrie"))
	if err := commit(d, 1, func() {}); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if b, err := os.ReadFile(d.dir.Path("CACHEDIR.TAG")); err != nil || !strings.HasPrefix(string(b), "Signature: 8a477f597d28d172789f06886806bc55\n") {
		t.Errorf("CACHEDIR.TAG is %q, %v", b, err)
	}
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"status", "--porcelain"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = repo
		out, err := cmd.CombinedOutput()
		if err != nil || len(out) != 0 {
			t.Errorf("git %v: %v: %s", args, err, out)
		}
	}
}

// A directory that a store is in, such as the recipe's, has the digest that it
// has without, and can be an artifact of that store.
func TestStoreInTheTree(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "recipe.hcl"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, filepath.Join(dir, ".eyrie"))
	defer d.Close()
	before := hashed(t, d, dir)
	if err := commit(d, 1, func() {}); err != nil {
		t.Fatal(err)
	}
	f, err := d.Import(t.Context(), dir)
	if err != nil || f.Digest != before {
		t.Errorf("with the store in it the tree is %v, was %v; %v", f.Digest, before, err)
	}
}

// A store that cannot be written can be read.
func TestReadOnly(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	if err := commit(d, 1, func() {}); err != nil {
		t.Fatal(err)
	}
	d.Close()
	damaged := d.objectPath(artifacts.Sum([]byte("file of 1")))
	r, err := d.Lookup(t.Context(), testRecord(1).Action)
	if err != nil {
		t.Fatal(err)
	}
	for _, cache := range []string{"with", "without"} {
		d := openDir(t, d.dir.Path())
		d.dir.Fault = func(op, path string) error { return syscall.EROFS }
		checkCommitted(t, d, 1, true)
		if err := d.Record(t.Context(), r); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s a stat cache: Record: %v", cache, err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s a stat cache: Close: %v", cache, err)
		}
		os.Remove(d.cache.path)
	}
	overwrite(t, damaged, []byte("FILE OF 1"))
	d = openDir(t, d.dir.Path())
	d.dir.Fault = func(op, path string) error { return syscall.EROFS }
	if _, err := d.Lookup(t.Context(), r.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Lookup of a damaged object: %v", err)
	}
	mislead(t, d, r.Objects[0].Digest)
	rd, err := d.Open(t.Context(), r.Objects[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(rd); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open of a damaged object: %v", err)
	}
	rd.Close()
	if _, err := d.Lookup(t.Context(), r.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Lookup of an object that was seen to be damaged: %v", err)
	}
	d.Close()
}

// What lies in a directory of Temp is moved into the store with its batch, not
// copied, and cannot be written any more by mistake. The user's own files are copied.
func TestBatchMoves(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	work, err := d.Temp()
	if err != nil {
		t.Fatal(err)
	}
	for dir, moved := range map[string]bool{work: true, t.TempDir(): false} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(dir), 0o666); err != nil {
			t.Fatal(err)
		}
		source, err1 := os.Stat(path)
		b := d.Batch()
		f, err := b.Import(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		r := testRecord(0, f)
		if err := b.Commit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		object, err2 := os.Stat(d.objectPath(f.Digest))
		if err1 != nil || err2 != nil || os.SameFile(source, object) != moved || object.Mode() != disk.Frozen || !object.ModTime().Equal(disk.FrozenTime) {
			t.Errorf("moved %t: source %v, object %v; %v, %v", moved, source, object, err1, err2)
		}
	}
}

// mislead makes the stat cache know an object as good, as it does when a disk
// loses a bit.
func mislead(t *testing.T, d *Store, digest artifacts.Digest) {
	t.Helper()
	path := d.objectPath(digest)
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	d.cache.learn(d.key(path), disk.StampOf(fi), digest, time.Now())
	if err := d.check(t.Context(), digest); err != nil {
		t.Fatal(err)
	}
}

// changing is a context that touches a file whenever it is asked for its error,
// which is once for every chunk that is read.
type changing struct {
	context.Context
	path string
}

func (c *changing) Err() error {
	os.Chtimes(c.path, time.Time{}, time.Now())
	return nil
}

// A file of the user's that changes while it is stored is an error, and nothing
// of it is stored.
func TestImportOfAChangingFile(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 3<<18), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := d.Import(&changing{t.Context(), path}, path)
	if !errors.Is(err, disk.ErrChanged) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	left, err := filepath.Glob(d.dir.Path("objects", "*", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("stored: %v, %v", left, err)
	}
}

// An object that is written to is damaged, whatever has been read of it.
func TestObjectWrittenTo(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	digest := small(t, d).Objects[1].Digest
	d.cache.forget(d.key(d.objectPath(digest)))
	ctx := &changing{t.Context(), d.objectPath(digest)}
	if err := d.check(ctx, digest); !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

// What gets its name in the store is on the disk before, and its name after:
// also a loss of power finds whole files only, and all that was recorded.
func TestDurable(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	var pending []string // "sync" of the last file, then directories that have new names
	synced := false
	names := 0
	var mu sync.Mutex // directories are synced side by side
	d.dir.Fault = func(op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		in, _ := filepath.Rel(d.dir.Path(), path)
		kind, _, _ := strings.Cut(in, string(filepath.Separator))
		switch {
		case op == "sync":
			synced = true
		case op == "rename" && kind == "tmp": // moved out of a stage's directory
		case op == "mkdir" && kind == "tmp": // what is being made need not last
		case op == "rename" && (kind == "objects" || kind == "actions"):
			if !synced {
				t.Errorf("%s gets its name before it is on the disk", in)
			}
			names++
			pending = append(pending, filepath.Dir(path))
		case op == "mkdir":
			pending = append(pending, filepath.Dir(path))
		case op == "syncdir":
			pending = slices.DeleteFunc(pending, func(dir string) bool { return dir == path })
		case op == "create":
			synced = false
		}
		return nil
	}
	work, err := d.Temp()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{work, t.TempDir()} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(dir), 0o666); err != nil {
			t.Fatal(err)
		}
		synced = false
		f, err := d.Import(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Record(t.Context(), testRecord(len(dir), f)); err != nil {
			t.Fatal(err)
		}
	}
	// A rename into a directory that is not there yet is tried, fails, and is
	// tried again: it is seen twice.
	if len(pending) != 0 || names < 4 {
		t.Errorf("of %d names these are not on the disk: %v", names, pending)
	}
}

// The executable bit of a tree's file does not depend on how another tree that
// has the same content was stored.
func TestExecutableBitIsTheTrees(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	work, err := d.Temp()
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]fs.FileMode{"x": 0o777, "f": 0o666}
	trees := map[string]artifacts.File{}
	for _, name := range []string{"x", "f"} { // the object is moved from the executable one
		dir := filepath.Join(work, name)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("same"), modes[name]); err != nil {
			t.Fatal(err)
		}
		if trees[name], err = d.Import(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	for name, handle := range trees {
		f, err := d.Fetch(t.Context(), handle)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(f.Join("file"))
		if err != nil || (tree.KindOf(fi) == tree.Executable) != (name == "x") {
			t.Errorf("in tree %s the file is %v, %v", name, fi.Mode(), err)
		}
	}
}

// A journal holds every line that was written, also if it is never closed.
func TestJournalIsAppended(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	w, err := d.Journal("run")
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, line := range []string{"{\"a\":1}\n", "{\"b\":2}\n"} {
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		want += line
		if b, err := os.ReadFile(d.dir.Path("runs", "run.jsonl")); err != nil || string(b) != want {
			t.Errorf("the journal is %q, %v", b, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
