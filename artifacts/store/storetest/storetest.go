// Package storetest is the conformance suite of [store.Store]: what a store does,
// whatever lies behind it.
package storetest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// Run tests the stores that open returns. Each must be new and empty; what open
// must undo it leaves to t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *store.Store)
	}{
		{"Files", files},
		{"SourceStaysItsOwners", sourceStays},
		{"ImportFromTemp", importFromTemp},
		{"NothingThere", nothingThere},
		{"NoFile", noFile},
		{"Cancelled", cancelled},
		{"FetchedAndChanged", fetchedAndChanged},
		{"TreeRoundTrip", treeRoundTrip},
		{"TreeDigest", treeDigest},
		{"TreeLinks", treeLinks},
		{"TreeRepair", treeRepair},
		{"RecordRoundTrip", recordRoundTrip},
		{"RecordRefused", recordRefused},
		{"Last", last},
		{"Lock", lock},
		{"LockCancelled", lockCancelled},
		{"LockExcludes", lockExcludes},
		{"Checkpoint", checkpoint},
		{"Journal", journal},
		{"Temp", temp},
		{"Concurrent", concurrent},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// New returns an empty store, which ends with the test.
func New(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// write makes a file below dir and returns its path.
func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// imported imports path and fails the test if it cannot.
func imported(t testing.TB, s *store.Store, path string) artifacts.File {
	t.Helper()
	f, err := s.Import(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if f.Path != "" {
		t.Errorf("Import returned the path %q; only Fetch gives one", f.Path)
	}
	return f
}

// fetched fetches f and fails the test if it cannot.
func fetched(t testing.TB, s *store.Store, f artifacts.File) artifacts.File {
	t.Helper()
	g, err := s.Fetch(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// content fetches the file f and returns what is in it.
func content(t testing.TB, s *store.Store, f artifacts.File) string {
	t.Helper()
	b, err := fetched(t, s, f).ReadFile()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// is fails the test unless err is want.
func is(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// sizes are those at which a copy in chunks could go wrong.
var sizes = []int{0, 1, 4095, 1<<18 - 1, 1 << 18, 1<<18 + 1, 3 << 20}

func pattern(n int) string {
	b := make([]byte, n)
	x := uint32(n) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

// A file's handle is its content's digest and size, whether it is only hashed
// or stored; Open and Fetch give the content back.
func files(t *testing.T, s *store.Store) {
	for _, n := range sizes {
		want := pattern(n)
		path := write(t, t.TempDir(), "file", want)
		hashed, err := s.Hash(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if w := (artifacts.File{Path: path, Digest: artifacts.Sum([]byte(want)), Size: int64(n)}); hashed != w {
			t.Fatalf("Hash of %d bytes: %+v, want %+v", n, hashed, w)
		}
		if _, err := s.Open(t.Context(), hashed.Digest); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Hash stored the file: %v", err)
		}
		for range 2 {
			f := imported(t, s, path)
			if f.Path = path; f != hashed {
				t.Fatalf("Import of %d bytes: %+v, want %+v", n, f, hashed)
			}
			if got := content(t, s, f); got != want {
				t.Fatalf("fetched %d bytes, want %d", len(got), n)
			}
		}
		r, err := s.Open(t.Context(), hashed.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, []byte(want)); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
}

// The store shares nothing with a file of the user's: the file stays writable,
// and what is written to it later does not reach the store.
func sourceStays(t *testing.T, s *store.Store) {
	path := write(t, t.TempDir(), "file", "before")
	if err := os.Chmod(path, 0o751); err != nil {
		t.Fatal(err)
	}
	f := imported(t, s, path)
	fi, err := os.Stat(path)
	if err != nil || fi.Mode() != 0o751 {
		t.Fatalf("after Import the source has mode %v, %v", fi.Mode(), err)
	}
	g, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.WriteString("after!"); err != nil {
		t.Fatal(err)
	}
	g.Close()
	if got := content(t, s, f); got != "before" {
		t.Errorf("the object became %q", got)
	}
	if got := content(t, s, imported(t, s, path)); got != "after!" {
		t.Errorf("the second import is %q", got)
	}
}

// What a stage wrote into a directory of Temp can be imported again, and
// outlives the directory. A file there that has another name elsewhere is as
// good as a file elsewhere.
func importFromTemp(t *testing.T, s *store.Store) {
	dir, err := s.Temp()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, "tree/weights", "made here")
	if err := os.Chmod(write(t, dir, "tree/tool", "#!/bin/sh"), 0o777); err != nil {
		t.Fatal(err)
	}
	users := write(t, t.TempDir(), "users", "the user's")
	alias := filepath.Join(dir, "alias")
	if err := os.Link(users, alias); err != nil {
		if err := os.Symlink(users, alias); err != nil {
			t.Fatal(err)
		}
	}
	tree := imported(t, s, filepath.Join(dir, "tree"))
	if again := imported(t, s, filepath.Join(dir, "tree")); again != tree {
		t.Errorf("imported again the tree is %+v, was %+v", again, tree)
	}
	file, linked := imported(t, s, path), imported(t, s, alias)
	if err := os.WriteFile(users, []byte("changed!!!"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got := content(t, s, file); got != "made here" {
		t.Errorf("the object is %q", got)
	}
	if got := content(t, s, linked); got != "the user's" {
		t.Errorf("the user's file and the object are one: %q", got)
	}
	if b, err := os.ReadFile(fetched(t, s, tree).Join("tool")); err != nil || string(b) != "#!/bin/sh" {
		t.Errorf("the tree's tool is %q, %v", b, err)
	}
}

// What is not in the store is ErrNotFound everywhere.
func nothingThere(t *testing.T, s *store.Store) {
	d := artifacts.Sum([]byte("nothing"))
	_, err := s.Open(t.Context(), d)
	is(t, "Open", err, store.ErrNotFound)
	_, err = s.Fetch(t.Context(), artifacts.File{Digest: d, Size: 7})
	is(t, "Fetch", err, store.ErrNotFound)
	_, err = s.Fetch(t.Context(), artifacts.File{Digest: d, Size: 7, Tree: true})
	is(t, "Fetch of a tree", err, store.ErrNotFound)
	_, err = s.Lookup(t.Context(), artifacts.ActionID(d))
	is(t, "Lookup", err, store.ErrNotFound)
	_, err = s.Last("nobody")
	is(t, "Last", err, store.ErrNotFound)
	is(t, "DropCheckpoint", s.DropCheckpoint(artifacts.ActionID(d)), nil)
}

// What is neither a file nor a directory has no digest.
func noFile(t *testing.T, s *store.Store) {
	for _, take := range []func(context.Context, string) (artifacts.File, error){s.Hash, s.Import} {
		_, err := take(t.Context(), filepath.Join(t.TempDir(), "missing"))
		is(t, "a missing file", err, fs.ErrNotExist)
		if _, err := take(t.Context(), os.DevNull); err == nil {
			t.Errorf("a device has a digest")
		}
	}
}

// A cancelled context ends everything that may take long.
func cancelled(t *testing.T, s *store.Store) {
	dir := t.TempDir()
	path := write(t, dir, "file", pattern(1<<20))
	tree := imported(t, s, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	write(t, dir, "new", "not yet hashed")
	for what, err := range map[string]error{
		"Hash":           second(s.Hash(ctx, write(t, dir, "file2", "x"))),
		"Hash, a tree":   second(s.Hash(ctx, dir)),
		"Import":         second(s.Import(ctx, write(t, dir, "file3", "y"))),
		"Import, a tree": second(s.Import(ctx, dir)),
		"Fetch, a tree":  second(s.Fetch(ctx, tree)),
		"Lock":           second(s.Lock(ctx, artifacts.NewActionID(nil), nil)),
	} {
		is(t, what, err, context.Canceled)
	}
	if got := content(t, s, imported(t, s, path)); got != pattern(1<<20) {
		t.Error("after a cancelled Import the file is not what it was")
	}
}

func second[T any](_ T, err error) error { return err }

// Writing to a fetched file, which is forbidden, is noticed: the next
// Fetch gives the right content or none.
func fetchedAndChanged(t *testing.T, s *store.Store) {
	path := write(t, t.TempDir(), "file", "right")
	f := fetched(t, s, imported(t, s, path))
	if err := os.Chmod(f.Path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Path, []byte("wrong"), 0o666); err != nil {
		t.Fatal(err)
	}
	g, err := s.Fetch(t.Context(), f)
	if errors.Is(err, store.ErrDamaged) {
		_, err := s.Fetch(t.Context(), f)
		is(t, "Fetch after damage", err, store.ErrNotFound)
		imported(t, s, path)
		g = fetched(t, s, f)
	} else if err != nil {
		t.Fatal(err)
	}
	if b, err := g.ReadFile(); err != nil || string(b) != "right" {
		t.Errorf("Fetch gave %q, %v", b, err)
	}
	r, err := s.Open(t.Context(), f.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "right" {
		t.Errorf("Open gave %q, %v", b, err)
	}
}
