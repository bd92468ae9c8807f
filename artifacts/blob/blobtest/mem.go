package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"sync"
	"time"

	"eyrie/artifacts/blob"
)

// Mem is a bucket in memory, for tests of what stands on one. Its zero value is
// empty.
type Mem struct {
	mu    sync.Mutex
	blobs map[blob.Key]memBlob
}

type memBlob struct {
	content []byte // never changed
	put     time.Time
}

var _ blob.Bucket = (*Mem)(nil)

func (m *Mem) get(ctx context.Context, key blob.Key) (memBlob, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[key]
	if !ok {
		return b, fmt.Errorf("blob %s: %w", key, fs.ErrNotExist)
	}
	return b, ctx.Err()
}

// Stat implements blob.Bucket.
func (m *Mem) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	b, err := m.get(ctx, key)
	return blob.Info{Key: key, Size: int64(len(b.content)), Put: b.put}, err
}

// Open implements blob.Bucket.
func (m *Mem) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	b, err := m.get(ctx, key)
	return io.NopCloser(bytes.NewReader(b.content)), err
}

// Put implements blob.Bucket.
func (m *Mem) Put(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	return m.store(ctx, key, content, true)
}

// Create implements blob.Bucket.
func (m *Mem) Create(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	return m.store(ctx, key, content, false)
}

func (m *Mem) store(ctx context.Context, key blob.Key, content io.ReadSeeker, replace bool) error {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.blobs[key]; ok && !replace {
		return fmt.Errorf("blob %s: %w", key, fs.ErrExist)
	}
	if m.blobs == nil {
		m.blobs = map[blob.Key]memBlob{}
	}
	m.blobs[key] = memBlob{b, time.Now()}
	return nil
}

// List implements blob.Bucket.
func (m *Mem) List(ctx context.Context, kind blob.Kind) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		m.mu.Lock()
		blobs := maps.Clone(m.blobs) // yield may put and delete
		m.mu.Unlock()
		for key, b := range blobs {
			if err := ctx.Err(); err != nil {
				yield(blob.Info{}, err)
				return
			}
			if key.Kind == kind && !yield(blob.Info{Key: key, Size: int64(len(b.content)), Put: b.put}, nil) {
				return
			}
		}
	}
}

// Delete implements blob.Bucket.
func (m *Mem) Delete(ctx context.Context, key blob.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, key)
	return ctx.Err()
}
