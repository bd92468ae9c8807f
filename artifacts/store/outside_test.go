package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
)

// outsideTree makes a tree of two files.
func outsideTree(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "images")
	for name, text := range map[string]string{"train/a/1.jpg": "one", "val/a/2.jpg": "two"} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// refer records an action whose output is the tree at path, without its files.
func refer(t *testing.T, d *Store, path string) artifacts.File {
	t.Helper()
	b := d.Batch()
	defer b.Close()
	seen, err := b.Refer(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	object, err := b.Keep(t.Context(), seen.File)
	if err != nil || !object.Outside {
		t.Fatalf("%+v, %v", object, err)
	}
	preimage := []byte(`{"of":"` + seen.Digest.String() + `"}`)
	r := Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Output: []byte("{}"), Objects: []artifacts.File{object}, Step: "images"}
	if err := b.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return artifacts.File{Digest: seen.Digest, Size: seen.Size, Tree: true}
}

// A tree outside is known by its manifest and its place, also to the next process: its record
// is a hit, the store is whole, and no file of it was copied.
func TestOutside(t *testing.T) {
	t.Parallel()
	path, dir := outsideTree(t), filepath.Join(t.TempDir(), "store")
	d := openDir(t, dir)
	f := refer(t, d, path)
	if hashed, err := d.Hash(t.Context(), path); err != nil || hashed.Digest != f.Digest {
		t.Fatalf("the digest is not that of a copy: %v", err)
	}
	d.Close()
	d = openDir(t, dir)
	defer d.Close()
	if got, err := d.Locate(t.Context(), f); err != nil || got.Path != path {
		t.Errorf("located at %s, %v", got.Path, err)
	}
	var outside *OutsideError
	if _, err := d.Fetch(t.Context(), f); !errors.As(err, &outside) || outside.Place != path {
		t.Errorf("Fetch: %v", err)
	}
	if _, err := d.Lookup(t.Context(), artifacts.NewActionID([]byte(`{"of":"`+f.Digest.String()+`"}`))); err != nil {
		t.Error(err)
	}
	flaws, checked, err := d.Verify(t.Context(), nil)
	if err != nil || len(flaws) > 0 || checked.Objects != 1 {
		t.Errorf("%d objects, flaws %+v, %v", checked.Objects, flaws, err)
	}
	if m, err := d.Tree(t.Context(), f); err != nil || len(m) != 2 {
		t.Errorf("the list of files: %v, %v", m, err)
	}
}

// A tree may be moved: it is where it was noted last. One that is nowhere is an error that says
// what to do, and a note that a loss of power tore counts as none.
func TestOutsideMoved(t *testing.T) {
	t.Parallel()
	path := outsideTree(t)
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	f := refer(t, d, path)
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Locate(t.Context(), f); err == nil || !strings.Contains(err.Error(), "was at "+path+", and is not there any more") {
		t.Error(err)
	}
	if err := d.NotePlace(f.Digest, moved); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Locate(t.Context(), f); err != nil || got.Path != moved {
		t.Errorf("located at %s, %v", got.Path, err)
	}
	for _, torn := range []string{"", "\x00\x00\x00", "elsewhere"} {
		if err := os.WriteFile(d.placePath(f.Digest), []byte(torn), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Locate(t.Context(), f); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", torn, err)
		}
	}
}

// A tree of which the store has all files is read from there, whatever is known of its place.
func TestOutsideAndCopied(t *testing.T) {
	t.Parallel()
	path := outsideTree(t)
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	f := refer(t, d, path)
	copied, err := d.Import(t.Context(), path)
	if err != nil || copied.Digest != f.Digest {
		t.Fatal(err)
	}
	got, err := d.Fetch(t.Context(), f)
	if err != nil || !d.Contains(got.Path) || d.Contains(path) {
		t.Errorf("read at %s, %v", got.Path, err)
	}
	if object, err := d.Batch().Keep(t.Context(), f); err != nil || object.Outside {
		t.Errorf("%+v, %v", object, err)
	}
}

// A collection keeps the note and the manifest while a record needs them, removes both later,
// and never touches the tree.
func TestOutsideCollected(t *testing.T) {
	t.Parallel()
	path := outsideTree(t)
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	f := refer(t, d, path)
	action := artifacts.NewActionID([]byte(`{"of":"` + f.Digest.String() + `"}`))
	for _, needed := range []map[artifacts.ActionID]bool{{action: true}, nil} {
		v, err := d.Inventory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		needs := Needed{Actions: needed, Since: time.Now().Add(time.Hour)}
		if _, err := d.Collect(t.Context(), v, func() (Needed, error) { return needs, nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Locate(t.Context(), f); (err == nil) != (needed != nil) {
			t.Errorf("needed %v: %v", needed, err)
		}
		if _, ok := d.placeOf(f.Digest); ok != (needed != nil) {
			t.Errorf("needed %v: its place is known: %v", needed, ok)
		}
	}
	for _, name := range []string{"train/a/1.jpg", "val/a/2.jpg"} {
		if _, err := os.Stat(filepath.Join(path, name)); err != nil {
			t.Error(err)
		}
	}
}

// Two sightings are equal only if nothing was written in between: not if a file changed and
// changed back, with its time.
func TestSightings(t *testing.T) {
	t.Parallel()
	path := outsideTree(t)
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	defer d.Close()
	refer(t, d, path)
	before, err := d.Sight(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.Sight(t.Context(), path); err != nil || again != before {
		t.Errorf("%+v and %+v, %v", before, again, err)
	}
	file := filepath.Join(path, "val/a/2.jpg")
	fi, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"too", "two"} {
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o666), os.Chtimes(file, fi.ModTime(), fi.ModTime())); err != nil {
			t.Fatal(err)
		}
	}
	after, err := d.Sight(t.Context(), path)
	if err != nil || after.Digest != before.Digest || after == before {
		t.Errorf("%+v and %+v, %v", before, after, err)
	}
}
