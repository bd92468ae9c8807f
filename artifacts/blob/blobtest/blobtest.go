// Package blobtest is the conformance suite of [blob.Bucket], and the bucket in
// memory that tests put under a store.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
)

// Run tests the buckets that open returns. Each must be new and empty; what open
// must undo it leaves to t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) blob.Bucket) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, b blob.Bucket)
	}{
		{"NothingThere", nothingThere},
		{"RoundTrip", roundTrip},
		{"KindsApart", kindsApart},
		{"Replaced", replaced},
		{"PutFails", putFails},
		{"Created", created},
		{"CreatedOnce", createdOnce},
		{"Deleted", deleted},
		{"ListedAll", listedAll},
		{"ListStops", listStops},
		{"Cancelled", cancelled},
		{"NeverInPart", neverInPart},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// key returns the i'th key of a kind.
func key(kind blob.Kind, i int) blob.Key {
	return blob.Key{Kind: kind, Hash: artifacts.Sum(fmt.Append(nil, i))}
}

func put(t testing.TB, b blob.Bucket, k blob.Key, content string) {
	t.Helper()
	if err := b.Put(t.Context(), k, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

// has fails the test unless the blob is there and its content is want.
func has(t testing.TB, b blob.Bucket, k blob.Key, want string) {
	t.Helper()
	info, err := b.Stat(t.Context(), k)
	if err != nil || info.Key != k || info.Size != int64(len(want)) {
		t.Errorf("Stat of %s: %+v, %v; want %d bytes", k, info, err, len(want))
	}
	r, err := b.Open(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Errorf("%s has %d bytes, want %d: %v", k, len(got), len(want), err)
	}
}

// hasNot fails the test unless there is no such blob.
func hasNot(t testing.TB, b blob.Bucket, k blob.Key) {
	t.Helper()
	_, err := b.Stat(t.Context(), k)
	is(t, "Stat", err, fs.ErrNotExist)
	_, err = b.Open(t.Context(), k)
	is(t, "Open", err, fs.ErrNotExist)
}

func is(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// list returns the sizes of the blobs of a kind.
func list(t testing.TB, b blob.Bucket, kind blob.Kind) map[blob.Key]int64 {
	t.Helper()
	all := map[blob.Key]int64{}
	for info, err := range b.List(t.Context(), kind) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[info.Key]; twice {
			t.Errorf("%s is listed twice", info.Key)
		}
		all[info.Key] = info.Size
	}
	return all
}

// What is not there is fs.ErrNotExist; an empty bucket can be listed, and what is
// not there can be deleted.
func nothingThere(t *testing.T, b blob.Bucket) {
	hasNot(t, b, key(blob.Object, 0))
	is(t, "Delete", b.Delete(t.Context(), key(blob.Object, 0)), nil)
	if all := list(t, b, blob.Object); len(all) != 0 {
		t.Errorf("listed %v", all)
	}
}

// What is put is there, of any size, to the byte; putting it again changes
// nothing. Its time is not before it was put.
func roundTrip(t *testing.T, b blob.Bucket) {
	for i, n := range []int{0, 1, 4095, 1 << 18, 1<<18 + 1, 9 << 20} {
		content := strings.Repeat("eyrie ", n/6+1)[:n]
		begin := time.Now().Add(-time.Minute) // a server's clock may be slow
		for range 2 {
			put(t, b, key(blob.Object, i), content)
			has(t, b, key(blob.Object, i), content)
		}
		if info, _ := b.Stat(t.Context(), key(blob.Object, i)); info.Put.Before(begin) {
			t.Errorf("put after %v the blob is of %v", begin, info.Put)
		}
	}
	r, err := b.Open(t.Context(), key(blob.Object, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := iotest.TestReader(r, []byte(strings.Repeat("eyrie ", 700)[:4095])); err != nil {
		t.Error(err)
	}
	read := strings.NewReader("from the beginning")
	if _, err := read.Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), key(blob.Object, 0), read); err != nil {
		t.Fatal(err)
	}
	has(t, b, key(blob.Object, 0), "from the beginning")
}

// An object and a record of the same hash are two blobs.
func kindsApart(t *testing.T, b blob.Bucket) {
	put(t, b, key(blob.Object, 1), "object")
	hasNot(t, b, key(blob.Action, 1))
	put(t, b, key(blob.Action, 1), "record")
	has(t, b, key(blob.Object, 1), "object")
	has(t, b, key(blob.Action, 1), "record")
	for _, kind := range []blob.Kind{blob.Object, blob.Action} {
		if all := list(t, b, kind); len(all) != 1 || all[key(kind, 1)] != 6 {
			t.Errorf("%s: %v", kind, all)
		}
	}
}

// A blob that is put again has the new content, longer or shorter. A reader that has
// it open goes on reading the old one.
func replaced(t *testing.T, b blob.Bucket) {
	for _, kind := range []blob.Kind{blob.Object, blob.Action} {
		k := key(kind, 1)
		old := strings.Repeat("old", 1<<20)
		put(t, b, k, old)
		r, err := b.Open(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		put(t, b, k, "new")
		has(t, b, k, "new")
		if got, err := io.ReadAll(r); err == nil && string(got) != old {
			t.Errorf("the reader got %d bytes, want %d", len(got), len(old))
		}
		r.Close()
		put(t, b, k, "longer")
		has(t, b, k, "longer")
	}
}

// broken is content that cannot be read beyond its first left bytes.
type broken struct {
	io.ReadSeeker
	left int
}

var errBroken = errors.New("broken")

func (r *broken) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, errBroken
	}
	n, err := r.ReadSeeker.Read(b[:min(len(b), r.left)])
	r.left -= n
	return n, err
}

// Where the content cannot be read, nothing is stored of it, and what was there
// stays.
func putFails(t *testing.T, b blob.Bucket) {
	k := key(blob.Object, 1)
	half := func() io.ReadSeeker { return &broken{bytes.NewReader(make([]byte, 1<<20)), 1 << 19} }
	is(t, "Put", b.Put(t.Context(), k, half()), errBroken)
	hasNot(t, b, k)
	is(t, "Create", b.Create(t.Context(), k, half()), errBroken)
	hasNot(t, b, k)
	put(t, b, k, "whole")
	is(t, "Put", b.Put(t.Context(), k, half()), errBroken)
	has(t, b, k, "whole")
	if all := list(t, b, blob.Object); len(all) != 1 {
		t.Errorf("listed %v", all)
	}
}

// Create stores what is not there and leaves what is.
func created(t *testing.T, b blob.Bucket) {
	k := key(blob.Action, 1)
	is(t, "Create", b.Create(t.Context(), k, strings.NewReader("first")), nil)
	is(t, "Create again", b.Create(t.Context(), k, strings.NewReader("second")), fs.ErrExist)
	has(t, b, k, "first")
	is(t, "Delete", b.Delete(t.Context(), k), nil)
	is(t, "Create once it was deleted", b.Create(t.Context(), k, strings.NewReader("third")), nil)
	has(t, b, k, "third")
}

// What is deleted is gone, and can be put again.
func deleted(t *testing.T, b blob.Bucket) {
	for _, kind := range []blob.Kind{blob.Object, blob.Action} {
		put(t, b, key(kind, 1), "one")
		put(t, b, key(kind, 2), "two")
		for range 2 {
			is(t, "Delete", b.Delete(t.Context(), key(kind, 1)), nil)
			hasNot(t, b, key(kind, 1))
		}
		if all := list(t, b, kind); len(all) != 1 || all[key(kind, 2)] != 3 {
			t.Errorf("listed %v", all)
		}
		put(t, b, key(kind, 1), "again")
		has(t, b, key(kind, 1), "again")
	}
}

// A caller may stop listing early, and delete while it lists.
func listStops(t *testing.T, b blob.Bucket) {
	for i := range 20 {
		put(t, b, key(blob.Object, i), "x")
	}
	n := 0
	for info, err := range b.List(t.Context(), blob.Object) {
		if err != nil {
			t.Fatal(err)
		}
		is(t, "Delete", b.Delete(t.Context(), info.Key), nil)
		if n++; n == 5 {
			break
		}
	}
	if all := list(t, b, blob.Object); len(all) != 15 {
		t.Errorf("%d blobs are left, want 15", len(all))
	}
}

// A cancelled context ends everything, and nothing is stored.
func cancelled(t *testing.T, b blob.Bucket) {
	k := key(blob.Object, 1)
	put(t, b, k, "there")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, statErr := b.Stat(ctx, k)
	_, openErr := b.Open(ctx, k)
	var listErr error
	for _, err := range b.List(ctx, blob.Object) {
		listErr = err
	}
	for what, err := range map[string]error{
		"Stat": statErr, "Open": openErr, "List": listErr,
		"Put":    b.Put(ctx, key(blob.Object, 2), strings.NewReader("x")),
		"Create": b.Create(ctx, key(blob.Object, 3), strings.NewReader("x")),
	} {
		is(t, what, err, context.Canceled)
	}
	hasNot(t, b, key(blob.Object, 2))
	hasNot(t, b, key(blob.Object, 3))
	has(t, b, k, "there")
}
