package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

// age gives a file times at which it is not racy any more: its change time
// cannot be set, so the test waits for it.
func age(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	time.Sleep(racy + 100*time.Millisecond)
}

func hashed(t *testing.T, d *Store, path string) artifacts.Digest {
	t.Helper()
	f, err := d.Hash(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return f.Digest
}

// A file that is not as it was when it was hashed is hashed again, whatever
// about it is different, and even if its size and modification time are the same.
func TestStatCacheSeesChanges(t *testing.T) {
	t.Parallel()
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	path := filepath.Join(t.TempDir(), "file")
	set := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	set("one")
	age(t, path)
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	hashed(t, d, path)
	if digest, ok := d.outer.lookup(path, disk.StampOf(fi)); !ok || digest != artifacts.Sum([]byte("one")) {
		t.Fatalf("the file is not in the cache: %v", digest)
	}
	changes := map[string]func(){
		"content": func() { set("two") },
		"content, with the old time": func() {
			set("two")
			os.Chtimes(path, fi.ModTime(), fi.ModTime())
		},
		"another file, with the old time": func() {
			os.Remove(path)
			set("two")
			os.Chtimes(path, fi.ModTime(), fi.ModTime())
		},
		"size": func() { set("three") },
	}
	for what, change := range changes {
		change()
		b, _ := os.ReadFile(path)
		if got := hashed(t, d, path); got != artifacts.Sum(b) {
			t.Errorf("%s: wrong digest", what)
		}
	}
}

// A file that was changed a moment before it was hashed may change again within
// the same tick of the clock. Its digest is not remembered.
func TestStatCacheRacy(t *testing.T) {
	c := statCache{path: filepath.Join(t.TempDir(), "statcache")}
	now := time.Now()
	at := func(age time.Duration) int64 { return now.Add(-age).UnixNano() }
	for _, test := range []struct {
		key          string
		mtime, ctime int64
		known        bool
	}{
		{"/user/old", at(time.Hour), at(time.Hour), true},
		{"/user/settled", at(racy + 1), at(racy + 1), true},
		{"/user/new", at(racy - 1), at(racy - 1), false},
		{"/user/now", at(0), at(0), false},
		{"/user/future", at(-time.Hour), at(-time.Hour), false},
		{"/user/renewed", at(time.Hour), at(0), false},
		{"/user/frozen", disk.FrozenTime.UnixNano(), at(0), false},
		{"objects/frozen", disk.FrozenTime.UnixNano(), at(0), true},
		{"trees/thawed", at(0), at(0), false},
	} {
		st := disk.Stamp{Dev: 1, Ino: 2, Size: 3, Mtime: test.mtime, Ctime: test.ctime}
		c.learn(test.key, st, artifacts.Digest{1}, now)
		if _, ok := c.lookup(test.key, st); ok != test.known {
			t.Errorf("%s: known %t, want %t", test.key, ok, test.known)
		}
	}
}

// An old entry is not trusted, nor one from the future.
func TestStatCacheAge(t *testing.T) {
	now := time.Now()
	entries := map[string]statEntry{}
	for name, age := range map[string]time.Duration{"new": 0, "old": maxAge - time.Hour, "too old": maxAge + time.Hour, "future": -time.Hour} {
		entries[name] = statEntry{read: now.Add(-age).UnixNano()}
	}
	got := parseStatCache(formatStatCache(entries), now)
	if _, ok := got["new"]; !ok || len(got) != 2 {
		t.Errorf("got %v", got)
	}
	if _, ok := got["old"]; !ok {
		t.Errorf("got %v", got)
	}
}

// What processes learn at the same time is all kept, unless they write in the
// very same moment; what one forgets stays forgotten.
func TestStatCacheMerges(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	a, b := openDir(t, root), openDir(t, root)
	if _, err := a.dir.Begin(); err != nil {
		t.Fatal(err)
	}
	st := disk.Stamp{Dev: 1, Ino: 2, Size: 3, Mtime: 4, Ctime: 5}
	for i, d := range []*Store{a, b, a, b} {
		d.cache.learn(fmt.Sprint(i), st, artifacts.Digest{byte(i)}, time.Now())
	}
	a.cache.learn("gone", st, artifacts.Digest{}, time.Now())
	a.Close()
	b.cache.forget("gone")
	b.Close()
	c := openDir(t, root)
	for i := range 4 {
		if digest, ok := c.cache.lookup(fmt.Sprint(i), st); !ok || digest != (artifacts.Digest{byte(i)}) {
			t.Errorf("entry %d is lost", i)
		}
	}
	if _, ok := c.cache.lookup("gone", st); ok {
		t.Error("a forgotten entry is back")
	}
}

// Any number of writers and readers at once never see a damaged cache.
func TestStatCacheConcurrent(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	first := openDir(t, root)
	first.cache.learn("first", disk.Stamp{}, artifacts.Digest{1}, time.Now())
	if _, err := first.dir.Begin(); err != nil {
		t.Fatal(err)
	}
	first.Close()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 20 {
				d := openDir(t, root)
				if _, ok := d.cache.lookup("first", disk.Stamp{}); !ok {
					t.Error("the cache is not whole")
				}
				d.cache.learn(fmt.Sprint(g, i), disk.Stamp{}, artifacts.Digest{2}, time.Now())
				d.Close()
			}
		})
	}
	wg.Wait()
}

// Any bytes are a stat cache or are ignored; what was read is written back.
func FuzzStatCache(f *testing.F) {
	now := time.Now()
	whole := formatStatCache(map[string]statEntry{"/a": {read: now.UnixNano()}, "objects/b": {read: now.UnixNano()}})
	f.Add(whole[:len(whole)-len(artifacts.Digest{})])
	f.Add([]byte(statCacheHeader))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		parseStatCache(b, now)
		sum := artifacts.Sum(b) // whole, whatever it holds
		entries := parseStatCache(append(bytes.Clone(b), sum[:]...), now)
		table := newStatTable(append(bytes.Clone(b), sum[:]...), now)
		again := parseStatCache(formatStatCache(entries), now)
		if len(again) != len(entries) {
			t.Fatalf("%d entries, then %d", len(entries), len(again))
		}
		for key, e := range entries {
			if again[key] != e {
				t.Fatalf("entry %q: %+v, then %+v", key, e, again[key])
			}
			if found, ok := table.find(key); found != e || !ok {
				t.Fatalf("entry %q: %+v, found as %+v", key, e, found)
			}
		}
	})
}

// What was read without making a store, as a plan does, need not be read again:
// a store is made for the stat cache where that spares much, and not for little.
func TestStatCacheOutlivesAPlan(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		size int64
		made bool
	}{{1000, false}, {worthStore, true}} {
		root, path := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "input")
		if err := errors.Join(os.WriteFile(path, nil, 0o666), os.Truncate(path, test.size)); err != nil {
			t.Fatal(err)
		}
		age(t, path)
		d := openDir(t, root)
		hashed(t, d, path)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, known := openDir(t, root).outer.lookup(path, disk.StampOf(fi)); known != test.made {
			t.Errorf("%d bytes: the file is in the cache: %v", test.size, known)
		}
		if _, err := os.Stat(root); (err == nil) != test.made {
			t.Errorf("%d bytes: the store: %v", test.size, err)
		}
	}
}
