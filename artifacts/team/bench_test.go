package team_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/s3"
	"eyrie/artifacts/s3/s3test"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
)

var largeMiB = flag.Int("large", 64, "how large BenchmarkLarge's file is, in MiB")

// late is a network on which each request takes a millisecond longer.
type late struct{ http.RoundTripper }

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(time.Millisecond)
	return l.RoundTripper.RoundTrip(r)
}

func source(b testing.TB, server *s3test.Server, bucket string, write bool) team.Source {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	kept, err := s3.Open(s3.Config{Bucket: bucket, Endpoint: server.Endpoint(), Region: "us-east-1", Transport: late{t}})
	if err != nil {
		b.Fatal(err)
	}
	return team.Source{Name: bucket, Bucket: kept, Write: write}
}

// lookUp looks for the first n actions, as many at a time as a plan does.
func (m *machine) lookUp(b testing.TB, n int, want error) {
	const atOnce = 64
	next := make(chan int)
	var wait sync.WaitGroup
	for range atOnce {
		wait.Go(func() {
			for i := range next {
				if _, err := m.Lookup(b.Context(), artifacts.NewActionID(fmt.Appendf(nil, `{"a":%d}`, i))); !errors.Is(err, want) {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
}

// What a plan of a thousand steps waits for where nobody has made any of them, and where all are
// in the bucket, each with a file.
func BenchmarkLookup(b *testing.B) {
	server := s3test.Start(b)
	server.Bucket(b, "empty")
	server.Bucket(b, "full")
	const n = 1000
	w := newMachine(b, source(b, server, "full", true))
	path := filepath.Join(b.TempDir(), "file")
	for i := range n {
		if err := os.WriteFile(path, fmt.Append(nil, i), 0o666); err != nil {
			b.Fatal(err)
		}
		f, err := w.Import(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		preimage := json.RawMessage(fmt.Sprintf(`{"a":%d}`, i))
		r := store.Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Output: json.RawMessage(`1`), Objects: []artifacts.File{f}}
		if err := w.Record(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		w.Share(r)
	}
	if p := w.cache.Wait(b.Context()); p.Sent != n {
		b.Fatal(p)
	}
	for _, bucket := range []string{"empty", "full"} {
		b.Run(bucket, func(b *testing.B) {
			want := error(nil)
			if bucket == "empty" {
				want = store.ErrNotFound
			}
			for b.Loop() {
				newMachine(b, source(b, server, bucket, false)).lookUp(b, n, want)
			}
		})
	}
}

// A large file on its way to the bucket, and from there.
func BenchmarkLarge(b *testing.B) {
	server := s3test.Start(b)
	server.Bucket(b, "large")
	w := newMachine(b, source(b, server, "large", true))
	dir, err := w.Temp() // from where it is moved into the store
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, "file")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range *largeMiB {
		rand.Read(block)
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	batch := w.Batch()
	file, err := batch.Import(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	preimage := json.RawMessage(`{"a":1}`)
	r := store.Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Output: json.RawMessage(`1`), Objects: []artifacts.File{file}}
	if err := batch.Commit(b.Context(), r); err != nil {
		b.Fatal(err)
	}
	b.Run("up", func(b *testing.B) {
		b.SetBytes(file.Size)
		for b.Loop() {
			from := source(b, server, "large", true)
			for _, key := range []blob.Key{objectKey(file), {Kind: blob.Action, Hash: r.Action}} {
				if err := from.Bucket.Delete(b.Context(), key); err != nil {
					b.Fatal(err)
				}
			}
			cache := newMachine(b, from).cache
			cache.Share(w.Store, r)
			if p := cache.Wait(b.Context()); p.Sent != 1 {
				b.Fatal(p)
			}
		}
	})
	b.Run("down", func(b *testing.B) {
		b.SetBytes(file.Size)
		for b.Loop() {
			if err := newMachine(b, source(b, server, "large", false)).Bring(b.Context(), r.Objects); err != nil {
				b.Fatal(err)
			}
		}
	})
}
