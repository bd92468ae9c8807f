package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"eyrie/artifacts/blob"
)

// One of many concurrent Creates succeeds, and its content is kept.
func createdOnce(t *testing.T, b blob.Bucket) {
	for round := range 5 {
		k := key(blob.Action, round)
		winners := make(chan string, 16)
		var wg sync.WaitGroup
		for i := range cap(winners) {
			wg.Go(func() {
				content := fmt.Sprint("writer ", i)
				err := b.Create(t.Context(), k, strings.NewReader(content))
				if err == nil {
					winners <- content
				} else if !errors.Is(err, fs.ErrExist) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(winners) != 1 {
			t.Fatalf("%d of %d created the blob", len(winners), cap(winners))
		}
		has(t, b, k, <-winners)
	}
}

// List yields every blob once, however many there are: servers answer with a
// page of a thousand.
func listedAll(t *testing.T, b blob.Bucket) {
	const n = 1100
	next := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range next {
				if err := b.Put(t.Context(), key(blob.Action, i), bytes.NewReader(make([]byte, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	all := list(t, b, blob.Action)
	for i := range n {
		if size, ok := all[key(blob.Action, i)]; !ok || size != int64(i) {
			t.Fatalf("blob %d: listed %v with %d bytes", i, ok, size)
		}
	}
	if len(all) != n {
		t.Errorf("listed %d blobs, want %d", len(all), n)
	}
}

// A reader gets one whole content, or ErrNotExist, while others put and delete.
func neverInPart(t *testing.T, b blob.Bucket) {
	k := key(blob.Object, 1)
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			content := bytes.Repeat([]byte{byte('a' + w)}, 100_000*(w+1))
			for range 10 {
				if err := b.Put(t.Context(), k, bytes.NewReader(content)); err != nil {
					t.Error(err)
				}
			}
			is(t, "Delete", b.Delete(t.Context(), k), nil)
		})
	}
	for range 3 {
		wg.Go(func() {
			for range 30 {
				r, err := b.Open(t.Context(), k)
				if errors.Is(err, fs.ErrNotExist) {
					continue
				} else if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				r.Close()
				if err == nil && (len(got) == 0 || len(got) != 100_000*int(got[0]-'a'+1) || bytes.Count(got, got[:1]) != len(got)) {
					t.Errorf("read %d bytes of no content that was put", len(got))
				}
			}
		})
	}
	wg.Wait()
}
