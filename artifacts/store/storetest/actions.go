package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// record returns a record of an action with the preimage, which is JSON, and
// these objects.
func record(preimage string, objects ...artifacts.File) store.Record {
	return store.Record{
		Action:   artifacts.NewActionID([]byte(preimage)),
		Preimage: json.RawMessage(preimage),
		Output:   json.RawMessage(`{"value":1}`),
		Objects:  objects,
		Step:     "step[\"a\"]",
		Run:      "run",
		Started:  time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC),
		Elapsed:  1234 * time.Millisecond,
	}
}

// A record is found as it was given, to the byte.
func recordRoundTrip(t *testing.T, s *store.Store) {
	dir := t.TempDir()
	file := imported(t, s, write(t, dir, "file", "content"))
	tree := imported(t, s, dir)
	for _, preimage := range []string{
		`{}`, `{"a":1}`, `null`, `{"html":"<a href=\"x\">&amp;</a>","u":"\u2028","plain":"` + "\u2028" + `"}`,
		`{"n":1.50,"big":12345678901234567890,"list":[[],{},""]}`,
	} {
		r := record(preimage, file, tree)
		r.Output = r.Preimage
		if _, err := s.Lookup(t.Context(), r.Action); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Lookup before Record: %v", err)
		}
		if err := s.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		got, err := s.Lookup(t.Context(), r.Action)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("got  %+v\nwant %+v", got, r)
		}
	}
	r := record(`{"again":true}`)
	for i := range 3 {
		r.Output = json.RawMessage(fmt.Sprint(i))
		if err := s.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Lookup(t.Context(), r.Action); err != nil || string(got.Output) != fmt.Sprint(i) {
			t.Errorf("recorded again, the output is %s, %v", got.Output, err)
		}
	}
}

// A record that does not fit its action, or whose objects are not there, is
// refused, and what is there stays.
func recordRefused(t *testing.T, s *store.Store) {
	good := record(`{"a":1}`)
	if err := s.Record(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	other := good
	other.Preimage = json.RawMessage(`{"a":2}`)
	spaced := record("{ }")
	noJSON := record("{")
	badOutput := good
	badOutput.Output = json.RawMessage("{")
	missing := record(`{"a":1}`, artifacts.File{Digest: artifacts.Sum([]byte("never stored"))})
	for what, r := range map[string]store.Record{
		"another preimage": other, "a preimage with spaces": spaced, "no JSON": noJSON,
		"an output that is no JSON": badOutput, "a missing object": missing,
	} {
		err := s.Record(t.Context(), r)
		if err == nil || !strings.Contains(err.Error(), r.Step) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if err := s.Record(t.Context(), missing); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a missing object: error %v, want ErrNotFound", err)
	}
	if got, err := s.Lookup(t.Context(), good.Action); err != nil || !reflect.DeepEqual(got, good) {
		t.Errorf("the record became %+v, %v", got, err)
	}
}

// Last returns what SetLast set, for any name.
func last(t *testing.T, s *store.Store) {
	names := []string{"", "a", "A", "a/b", "../../a", ".", `step["70 ms"]`, "a\x00b", "\xff", "\xfe", "\n", strings.Repeat("long", 1000)}
	for round := range 2 {
		for i, name := range names {
			if err := s.SetLast(name, artifacts.ActionID{byte(round), byte(i)}); err != nil {
				t.Fatalf("%q: %v", name, err)
			}
		}
		for i, name := range names {
			if got, err := s.Last(name); err != nil || got != (artifacts.ActionID{byte(round), byte(i)}) {
				t.Errorf("%q: %v, %v", name, got, err)
			}
		}
	}
}

// A caller that waits for a lock learns the holder, once, and gets the lock when it is
// given back. Another action's lock is another lock. Unlocking twice is once.
func lock(t *testing.T, s *store.Store) {
	a, b := artifacts.ActionID{1}, artifacts.ActionID{2}
	unlock, err := s.Lock(t.Context(), a, func(string) { t.Error("waits for a lock that is free") })
	if err != nil {
		t.Fatal(err)
	}
	unlockB, err := s.Lock(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlockB()
	holders := make(chan string, 10)
	got := make(chan func(), 1)
	go func() {
		unlock, err := s.Lock(t.Context(), a, func(holder string) { holders <- holder })
		if err != nil {
			t.Error(err)
		}
		got <- unlock
	}()
	if holder := <-holders; holder == "" {
		t.Error("the holder has no name")
	}
	select {
	case <-got:
		t.Fatal("two hold the lock")
	case <-time.After(50 * time.Millisecond):
	}
	unlock()
	again := <-got
	unlock() // not the other one's
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx, a, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("unlocking twice gave away another's lock: %v", err)
	}
	again()
	if len(holders) != 0 {
		t.Error("waiting was called more than once")
	}
}

// A caller whose context ends stops waiting, and does not hold the lock.
func lockCancelled(t *testing.T, s *store.Store) {
	unlock, err := s.Lock(t.Context(), artifacts.ActionID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.Lock(ctx, artifacts.ActionID{}, func(string) { cancel() })
	is(t, "Lock", err, context.Canceled)
	unlock()
	unlock, err = s.Lock(t.Context(), artifacts.ActionID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// A lock has one holder at a time, and every caller gets it in the end.
func lockExcludes(t *testing.T, s *store.Store) {
	var wg sync.WaitGroup
	var holders atomic.Int32
	for range 8 {
		wg.Go(func() {
			for range 10 {
				unlock, err := s.Lock(t.Context(), artifacts.ActionID{3}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				holders.Add(-1)
				unlock()
			}
		})
	}
	wg.Wait()
}

// What an action keeps in its checkpoint directory is there until it is dropped.
func checkpoint(t *testing.T, s *store.Store) {
	a, b := artifacts.ActionID{1}, artifacts.ActionID{2}
	has := func(when string, want bool) {
		t.Helper()
		if got := s.HasCheckpoint(a); got != want {
			t.Errorf("%s: HasCheckpoint is %v", when, got)
		}
	}
	has("at first", false)
	dir, err := s.Checkpoint(a)
	if err != nil {
		t.Fatal(err)
	}
	has("while it is empty", false)
	write(t, dir, "epoch/1", "state")
	has("when something is kept", true)
	other, err := s.Checkpoint(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(list(t, other)) != 1 || other == dir {
		t.Errorf("another action's checkpoint is %v", list(t, other))
	}
	again, err := s.Checkpoint(a)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(again, "epoch/1")); err != nil || string(b) != "state" {
		t.Errorf("the checkpoint is %q, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "late"), nil, 0o666); err == nil || s.Took(dir) || !s.Took(again) {
		t.Errorf("an attempt whose checkpoint another one has taken can write: %v", err)
	}
	for range 2 {
		if err := s.DropCheckpoint(a); err != nil {
			t.Fatal(err)
		}
	}
	has("after it was dropped", false)
	if again, err = s.Checkpoint(a); err != nil || len(list(t, again)) != 1 {
		t.Errorf("after it was dropped the checkpoint is %v, %v", list(t, again), err)
	}
}

// A run has one journal, and a name that can be a file's.
func journal(t *testing.T, s *store.Store) {
	w, err := s.Journal("2026-11-23-a")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := w.Write([]byte("{}\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Journal("2026-11-23-a")
	is(t, "a second journal of a run", err, fs.ErrExist)
	for _, run := range []string{"", ".", "..", "a/b", "../a", ".hidden"} {
		if _, err := s.Journal(run); err == nil {
			t.Errorf("there is a journal of run %q", run)
		}
	}
}

// Temp's directories are new, empty and the caller's.
func temp(t *testing.T, s *store.Store) {
	seen := map[string]bool{}
	for range 5 {
		dir, err := s.Temp()
		if err != nil {
			t.Fatal(err)
		}
		if seen[dir] || len(list(t, dir)) != 1 {
			t.Errorf("%s is not new: %v", dir, list(t, dir))
		}
		seen[dir] = true
		write(t, dir, "file", "")
	}
}

// Many goroutines may do the same, and different things, at once.
func concurrent(t *testing.T, s *store.Store) {
	dir := t.TempDir()
	for i := range 20 {
		write(t, dir, fmt.Sprintf("tree/%d/file", i), pattern(i%7*5000))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			tree, err := s.Import(t.Context(), filepath.Join(dir, "tree"))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 5 {
				own := record(fmt.Sprintf(`{"own":%d,"i":%d}`, g, i), tree)
				for _, r := range []store.Record{own, record(fmt.Sprintf(`{"shared":%d}`, i), tree)} {
					if err := s.Record(t.Context(), r); err != nil {
						t.Error(err)
					}
					if got, err := s.Lookup(t.Context(), r.Action); err != nil || !reflect.DeepEqual(got, r) {
						t.Errorf("got %+v, %v", got, err)
					}
				}
			}
			f, err := s.Fetch(t.Context(), tree)
			if err != nil {
				t.Error(err)
				return
			}
			if h, err := s.Hash(t.Context(), f.Path); err != nil || h.Digest != tree.Digest {
				t.Errorf("the fetched tree is %v, %v", h, err)
			}
		})
	}
	wg.Wait()
}
