package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/blob/blobtest"
	"eyrie/artifacts/store"
)

// machine returns the store of one of the machines that share a bucket.
func machine(t *testing.T, b blob.Bucket) *store.Store {
	t.Helper()
	s, err := store.Over(b, filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// result records an action with a file and a tree that holds it, and returns the
// record.
func result(t *testing.T, s *store.Store) store.Record {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "file"), filepath.Join(dir, "tool")} {
		if err := os.WriteFile(path, []byte(filepath.Base(path)), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := s.Import(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	file, err := s.Import(t.Context(), filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	preimage := json.RawMessage(`{"a":1}`)
	r := store.Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Output: json.RawMessage(`1`),
		Objects: []artifacts.File{tree, file}, Step: "step"}
	if err := s.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func objectKey(f artifacts.File) blob.Key { return blob.Key{Kind: blob.Object, Hash: f.Digest} }

// What one machine did another one finds and can read, trees too.
func TestMachinesShare(t *testing.T) {
	b := new(blobtest.Mem)
	r := result(t, machine(t, b))
	other := machine(t, b)
	got, err := other.Lookup(t.Context(), r.Action)
	if err != nil || string(got.Output) != "1" {
		t.Fatalf("Lookup: %+v, %v", got, err)
	}
	tree, err := other.Fetch(t.Context(), got.Objects[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "tool"} {
		fi, err := os.Stat(tree.Join(name))
		if err != nil || fi.Mode()&0o100 == 0 {
			t.Errorf("%s is %v, %v", name, fi, err)
		}
	}
	if h, err := other.Hash(t.Context(), tree.Path); err != nil || h.Digest != tree.Digest {
		t.Errorf("the fetched tree is %v, %v", h, err)
	}
}

// An object that is damaged in the bucket is never read. From then on the
// record is a miss, and when the step is done again all is well.
func TestDamagedInTheBucket(t *testing.T) {
	for what, bad := range map[string]string{"changed": "FILE", "cut": "fil", "longer": "file.", "empty": ""} {
		b := new(blobtest.Mem)
		r := result(t, machine(t, b))
		file := r.Objects[1]
		if err := b.Put(t.Context(), objectKey(file), strings.NewReader(bad)); err != nil {
			t.Fatal(err)
		}
		other := machine(t, b)
		for _, f := range r.Objects {
			if got, err := other.Fetch(t.Context(), f); !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: Fetch: %v, %v", what, got, err)
			}
		}
		if _, err := other.Lookup(t.Context(), r.Action); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: Lookup: %v", what, err)
		}
		result(t, other)
		if _, err := machine(t, b).Fetch(t.Context(), file); err != nil {
			t.Errorf("%s, done again: %v", what, err)
		}
	}
}

// An object that is gone from the bucket makes the record a miss where no copy
// is; where one is, it is put again with the next record that refers to it.
func TestGoneFromTheBucket(t *testing.T) {
	b := new(blobtest.Mem)
	first := machine(t, b)
	r := result(t, first)
	file := r.Objects[1]
	if err := b.Delete(t.Context(), objectKey(file)); err != nil {
		t.Fatal(err)
	}
	if _, err := machine(t, b).Lookup(t.Context(), r.Action); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without a copy: %v", err)
	}
	if _, err := first.Lookup(t.Context(), r.Action); err != nil {
		t.Errorf("with a copy: %v", err)
	}
	if err := first.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := machine(t, b).Lookup(t.Context(), r.Action); err != nil {
		t.Errorf("recorded again: %v", err)
	}
}

// away is a bucket behind a network that is down.
type away struct{ blob.Bucket }

var errAway = errors.New("no route to host")

func (away) Open(context.Context, blob.Key) (io.ReadCloser, error) { return nil, errAway }
func (away) Stat(context.Context, blob.Key) (blob.Info, error)     { return blob.Info{}, errAway }

// A bucket that cannot be asked is an error and no miss, which would have every
// step run again.
func TestBucketAway(t *testing.T) {
	s := machine(t, away{new(blobtest.Mem)})
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	_, lookup := s.Lookup(t.Context(), artifacts.ActionID{})
	_, fetch := s.Fetch(t.Context(), artifacts.File{})
	_, imported := s.Import(t.Context(), path)
	for what, err := range map[string]error{"Lookup": lookup, "Fetch": fetch, "Import": imported} {
		if !errors.Is(err, errAway) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

// A snapshot is this machine's alone, until it is kept: then another one finds all of it.
func TestKeptSnapshot(t *testing.T) {
	bucket := new(blobtest.Mem)
	one, other, dir := machine(t, bucket), machine(t, bucket), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := one.Snapshot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("changed"), 0o666); err != nil {
		t.Fatal(err)
	}
	for info, err := range bucket.List(t.Context(), blob.Object) {
		t.Errorf("the bucket has %v, %v", info, err)
	}
	kept := one.Batch()
	if _, err := kept.Keep(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	preimage := json.RawMessage(`{"a":1}`)
	if err := kept.Commit(t.Context(), store.Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Objects: []artifacts.File{f}}); err != nil {
		t.Fatal(err)
	}
	got, err := other.Fetch(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(got.Join("file")); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := other.Batch().Keep(t.Context(), artifacts.File{Digest: artifacts.Sum([]byte("nowhere"))}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what nobody has is kept: %v", err)
	}
}
