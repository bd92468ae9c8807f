package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"eyrie/artifacts"
)

// Mem is a store in memory, for tests. What must be a file has its place in a
// directory of the operating system's for temporary files, until Close.
type Mem struct {
	locks keyed

	mu       sync.Mutex
	objects  map[artifacts.Digest][]byte
	records  map[artifacts.ActionID][]byte
	last     map[string]artifacts.ActionID
	journals map[string]bool
	dir      string // empty until a file is needed
	names    int
}

var _ Store = (*Mem)(nil)

// NewMem returns an empty store.
func NewMem() *Mem {
	return &Mem{
		objects: map[artifacts.Digest][]byte{}, records: map[artifacts.ActionID][]byte{},
		last: map[string]artifacts.ActionID{}, journals: map[string]bool{},
	}
}

// Close removes the store's files.
func (s *Mem) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.dir
	s.dir = ""
	if dir == "" {
		return nil
	}
	return os.RemoveAll(dir)
}

// Hash implements Store.
func (s *Mem) Hash(ctx context.Context, path string) (artifacts.File, error) {
	f, _, err := scan(ctx, path, func(ctx context.Context, path string, _ fs.FileInfo) (artifacts.Digest, int64, error) {
		digest, st, err := readFile(ctx, path, nil)
		return digest, st.size, err
	})
	f.Path = path
	return f, err
}

// Import implements Store.
func (s *Mem) Import(ctx context.Context, path string) (artifacts.File, error) {
	f, manifest, err := scan(ctx, path, func(ctx context.Context, path string, _ fs.FileInfo) (artifacts.Digest, int64, error) {
		var b bytes.Buffer
		digest, st, err := readFile(ctx, path, &b)
		if err == nil {
			s.put(digest, b.Bytes())
		}
		return digest, st.size, err
	})
	if err == nil && f.Tree {
		s.put(f.Digest, manifest)
	}
	return f, err
}

func (s *Mem) put(digest artifacts.Digest, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[digest] = b
}

func (s *Mem) object(digest artifacts.Digest) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[digest]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", digest, ErrNotFound)
	}
	return b, nil
}

// Open implements Store.
func (s *Mem) Open(digest artifacts.Digest) (io.ReadCloser, error) {
	b, err := s.object(digest)
	return io.NopCloser(bytes.NewReader(b)), err
}

// Fetch implements Store.
func (s *Mem) Fetch(ctx context.Context, f artifacts.File) (artifacts.File, error) {
	dir, err := s.place("fetched")
	if err != nil {
		return f, err
	}
	f.Path = filepath.Join(dir, f.Digest.String())
	m := []entry{{path: f.Digest.String(), kind: 'f', digest: f.Digest}}
	if f.Tree {
		f.Path += ".tree"
		if m, err = readManifest(s.Open, f.Digest); err != nil {
			return f, err
		}
		return f, layOut(ctx, f.Path, m, s)
	}
	if s.holds(ctx, m[0], f.Path) {
		return f, nil
	}
	return f, s.supply(ctx, m[0], f.Path)
}

// holds implements shelf.
func (s *Mem) holds(ctx context.Context, e entry, path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || executable(fi) != (e.kind == 'x') {
		return false
	}
	digest, _, err := readFile(ctx, path, nil)
	return err == nil && digest == e.digest
}

// supply implements shelf.
func (s *Mem) supply(_ context.Context, e entry, path string) error {
	b, err := s.object(e.digest)
	if err != nil {
		return err
	}
	tmp, err := s.name()
	if err != nil {
		return err
	}
	perm := frozen
	if e.kind == 'x' {
		perm |= 0o111
	}
	if err := os.WriteFile(tmp, b, perm); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Record implements Store.
func (s *Mem) Record(r Record) error {
	b, err := encodeRecord(r)
	if err != nil {
		return err
	}
	for _, f := range r.Objects {
		if _, err := s.object(f.Digest); err != nil {
			return fmt.Errorf("record of %s: %w", r.Step, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[r.Action] = b
	return nil
}

// Lookup implements Store.
func (s *Mem) Lookup(id artifacts.ActionID) (Record, error) {
	s.mu.Lock()
	b, ok := s.records[id]
	s.mu.Unlock()
	if !ok {
		return Record{}, ErrNotFound
	}
	return decodeRecord(b, id)
}

// SetLast implements Store.
func (s *Mem) SetLast(name string, id artifacts.ActionID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[name] = id
	return nil
}

// Last implements Store.
func (s *Mem) Last(name string) (artifacts.ActionID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.last[name]
	if !ok {
		return id, ErrNotFound
	}
	return id, nil
}

// Lock implements Store.
func (s *Mem) Lock(ctx context.Context, id artifacts.ActionID, waiting func(holder string)) (func(), error) {
	return s.locks.lock(ctx, id, once(waiting))
}

// place returns a directory of the store's own, which it makes if needed.
func (s *Mem) place(elem ...string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "eyrie-")
		if err != nil {
			return "", err
		}
		s.dir = dir
	}
	dir := filepath.Join(append([]string{s.dir}, elem...)...)
	return dir, os.MkdirAll(dir, 0o777)
}

// name returns a path that nothing has.
func (s *Mem) name() (string, error) {
	dir, err := s.place("tmp")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names++
	return filepath.Join(dir, strconv.Itoa(s.names)), err
}

// Temp implements Store.
func (s *Mem) Temp() (string, error) {
	dir, err := s.name()
	if err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o777)
}

// Checkpoint implements Store.
func (s *Mem) Checkpoint(id artifacts.ActionID) (string, error) {
	return s.place("checkpoints", id.String())
}

// HasCheckpoint implements Store.
func (s *Mem) HasCheckpoint(id artifacts.ActionID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir != "" && hasEntries(filepath.Join(s.dir, "checkpoints", id.String()))
}

// DropCheckpoint implements Store.
func (s *Mem) DropCheckpoint(id artifacts.ActionID) error {
	dir, err := s.Checkpoint(id)
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Journal implements Store.
func (s *Mem) Journal(run string) (io.WriteCloser, error) {
	if err := checkRun(run); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journals[run] {
		return nil, fmt.Errorf("journal of run %s: %w", run, fs.ErrExist)
	}
	s.journals[run] = true
	return nopCloser{io.Discard}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
