package store

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

func openDir(t testing.TB, path string) *Store {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// testRecord returns a record whose preimage is of a stage's usual length.
func testRecord(i int, objects ...artifacts.File) Record {
	preimage := fmt.Sprintf(`{"format":1,"stage":"test","version":1,"attributes":{"i":%d,"text":%q}}`, i, strings.Repeat("attribute ", 60))
	return Record{
		Action: artifacts.NewActionID([]byte(preimage)), Preimage: json.RawMessage(preimage),
		Output: json.RawMessage(`{"value":0.1}`), Objects: objects, Step: fmt.Sprintf("step[%d]", i), Run: "run",
	}
}

// fill stores n actions with an object each and returns their records.
func fill(t testing.TB, d *Store, n int) []Record {
	t.Helper()
	work, err := d.Temp()
	if err != nil {
		t.Fatal(err)
	}
	records := make([]Record, n)
	fillOne := func(i int) error {
		path := filepath.Join(work, fmt.Sprint(i))
		if err := os.WriteFile(path, fmt.Appendf(nil, "output %d", i), 0o666); err != nil {
			return err
		}
		f, err := d.Import(t.Context(), path)
		if err != nil {
			return err
		}
		records[i] = testRecord(i, f)
		if err := d.SetLast(records[i].Step, records[i].Action); err != nil {
			return err
		}
		return d.Record(t.Context(), records[i])
	}
	const writers = 16 // the disk syncs many files together faster than one by one
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				if err := fillOne(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return records
}

// BenchmarkLookup is one Lookup of an action with one object, of 10,000.
func BenchmarkLookup(b *testing.B) {
	d := openDir(b, filepath.Join(b.TempDir(), "store"))
	defer d.Close()
	records := fill(b, d, 10000)
	for i := 0; b.Loop(); i++ {
		if _, err := d.Lookup(b.Context(), records[i%len(records)].Action); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNoop is what a run of 10,000 steps with nothing to do asks of the
// store: open it, look up and note each step, close it.
func BenchmarkNoop(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store")
	d := openDir(b, path)
	records := fill(b, d, 10000)
	d.Close()
	for b.Loop() {
		d := openDir(b, path)
		for i := range records {
			if _, err := d.Lookup(b.Context(), records[i].Action); err != nil {
				b.Fatal(err)
			}
			if err := d.SetLast(records[i].Step, records[i].Action); err != nil {
				b.Fatal(err)
			}
		}
		d.Close()
	}
}

// BenchmarkRecord is a step that is done: an object, its record and its name.
func BenchmarkRecord(b *testing.B) {
	d := openDir(b, filepath.Join(b.TempDir(), "store"))
	defer d.Close()
	work, err := d.Temp()
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		path := filepath.Join(work, fmt.Sprint(i))
		if err := os.WriteFile(path, fmt.Append(nil, i), 0o666); err != nil {
			b.Fatal(err)
		}
		f, err := d.Import(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		r := testRecord(i, f)
		if err := d.Record(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		if err := d.SetLast(r.Step, r.Action); err != nil {
			b.Fatal(err)
		}
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// BenchmarkHash reads a file of 256 MB that the stat cache does not know.
func BenchmarkHash(b *testing.B) {
	path := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(path, noise(256<<20), 0o666); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(256 << 20)
	for b.Loop() {
		if _, _, err := disk.Read(b.Context(), path, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkImport stores a file of 64 MB: a copy of one elsewhere, and one that
// a stage wrote into a directory of Temp.
func BenchmarkImport(b *testing.B) {
	content := noise(64 << 20)
	for _, from := range []string{"elsewhere", "temp"} {
		b.Run("from="+from, func(b *testing.B) {
			d := openDir(b, filepath.Join(b.TempDir(), "store"))
			defer d.Close()
			dir := b.TempDir()
			if from == "temp" {
				var err error
				if dir, err = d.Temp(); err != nil {
					b.Fatal(err)
				}
			}
			path := filepath.Join(dir, "file")
			b.SetBytes(int64(len(content)))
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				content[0], content[1], content[2] = byte(i), byte(i>>8), byte(i>>16)
				os.Remove(path)
				if err := os.WriteFile(path, content, 0o666); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				f, err := d.Import(b.Context(), path)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				os.Remove(d.objectPath(f.Digest))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkTree hashes, stores and fetches a tree of 10,000 small files of
// which the stat cache knows all.
func BenchmarkTree(b *testing.B) {
	dir := b.TempDir()
	old := time.Now().Add(-time.Hour)
	for i := range 10000 {
		path := filepath.Join(dir, fmt.Sprint(i%100), fmt.Sprint(i))
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, fmt.Append(nil, i), 0o666); err != nil {
			b.Fatal(err)
		}
		os.Chtimes(path, old, old)
	}
	d := openDir(b, filepath.Join(b.TempDir(), "store"))
	defer d.Close()
	begin := time.Now()
	f, err := d.Import(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("first Import: %v", time.Since(begin))
	begin = time.Now()
	if _, err := d.Fetch(b.Context(), f); err != nil {
		b.Fatal(err)
	}
	b.Logf("first Fetch: %v", time.Since(begin))
	time.Sleep(racy) // or the files are not in the cache yet
	if _, err := d.Hash(b.Context(), dir); err != nil {
		b.Fatal(err)
	}
	b.Run("Hash", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Hash(b.Context(), dir); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Fetch", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Fetch(b.Context(), f); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStatCache writes and reads a stat cache of 10,000 files, and asks it
// for each.
func BenchmarkStatCache(b *testing.B) {
	entries := map[string]statEntry{}
	now := time.Now()
	for i := range 10000 {
		key := fmt.Sprintf("/home/somebody/pipelines/project/data/images/train/%d/%d.png", i%100, i)
		entries[key] = statEntry{disk.Stamp{Dev: 1, Ino: uint64(i), Size: int64(i), Mtime: int64(i), Ctime: int64(i)}, artifacts.Sum([]byte(key)), now.UnixNano()}
	}
	path := filepath.Join(b.TempDir(), "statcache")
	b.Run("op=write", func(b *testing.B) {
		for b.Loop() {
			if err := os.WriteFile(path, formatStatCache(entries), 0o666); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=read", func(b *testing.B) {
		for b.Loop() {
			c := statCache{path: path}
			c.load()
			for key := range entries {
				if _, ok := c.entry(key); !ok {
					b.Fatalf("%s is lost", key)
				}
				break
			}
		}
	})
	b.Run("op=lookup", func(b *testing.B) {
		c := statCache{path: path}
		for b.Loop() {
			for key, e := range entries {
				if _, ok := c.lookup(key, e.Stamp); !ok {
					b.Fatal(key)
				}
			}
		}
	})
}
