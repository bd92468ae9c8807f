package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// Behind is what a store asks for what it does not have itself: results that others
// made. It hands out records that may be trusted, and content that the store verifies.
// Whatever keeps it from answering is its own to tell, and for the store a miss.
type Behind interface {
	// Record returns the record of an action, or ErrNotFound.
	Record(ctx context.Context, id artifacts.ActionID) (Record, error)
	// Has fails with ErrNotFound unless a file, or a tree's manifest, is there as an object, as
	// far as can be told without reading it: of a file, by its size.
	Has(ctx context.Context, f artifacts.File) error
	// Places returns in how many places objects may be, and Open reads one of the nth, unverified.
	Places() int
	Open(ctx context.Context, digest artifacts.Digest, place int) (io.ReadCloser, error)
	// Spoil says that an object is not what its digest says, or that parts of it, a tree,
	// are not: no record that needs it is to be found any more.
	Spoil(digest artifacts.Digest)
	// Use says that a record is used, so that it stays.
	Use(r Record)
	// Share publishes a record of s, with its objects, beside whatever else goes on.
	Share(s *Store, r Record)
}

// Back puts b behind the store, before the store is used. A record is in the store itself
// only when all of its objects are: then nothing depends on whether b can be asked.
func (s *Store) Back(b Behind) { s.behind = b }

// Backed reports whether anything is behind the store, so that whoever looks for much asks
// for much at a time.
func (s *Store) Backed() bool { return s.behind != nil }

// lookupBehind looks for a record behind the store, and for its objects without reading them.
func (s *Store) lookupBehind(ctx context.Context, id artifacts.ActionID) (Record, error) {
	r, err := s.behind.Record(ctx, id)
	if err != nil {
		return Record{}, err
	}
	if slices.ContainsFunc(r.Objects, func(f artifacts.File) bool { return f.Outside }) {
		return Record{}, ErrNotFound
	}
	err = tree.Each(ctx, len(r.Objects), func(ctx context.Context, i int) error {
		f := r.Objects[i]
		if err := s.check(ctx, f.Digest); isMiss(err) {
			return s.behind.Has(ctx, f)
		} else if err != nil || f.Tree {
			return err
		}
		return s.sized(f)
	})
	if isMiss(err) {
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return r, err
}

// Bring makes sure that this machine has all of some artifacts as objects. It fails with
// ErrNotFound or ErrDamaged where that cannot be, and has then seen to it that no record
// which needs them is found.
func (s *Store) Bring(ctx context.Context, files []artifacts.File) error {
	var mu sync.Mutex
	var lost error // the first; all files are tried, so that one plan more is enough
	err := tree.Each(ctx, len(files), func(ctx context.Context, i int) error {
		err := s.bring(ctx, files[i])
		if s.behind == nil || !isMiss(err) {
			return err
		}
		s.behind.Spoil(files[i].Digest)
		mu.Lock()
		defer mu.Unlock()
		if lost == nil {
			lost = err
		}
		return nil
	})
	return errors.Join(err, lost)
}

func (s *Store) bring(ctx context.Context, f artifacts.File) error {
	if !f.Tree {
		return s.haveSized(ctx, f)
	}
	if _, ok := s.outside(ctx, f); ok { // it is read where it lies
		return nil
	}
	m, err := s.manifest(ctx, f.Digest)
	if err != nil {
		return err
	}
	if s.behind != nil && m.Size() != f.Size {
		return fmt.Errorf("object %s: %w: the tree has %d bytes and not %d", f.Digest, ErrDamaged, m.Size(), f.Size)
	}
	return m.EachFile(ctx, func(ctx context.Context, e tree.Entry) error {
		err := s.haveSized(ctx, artifacts.File{Digest: e.Digest, Size: e.Size})
		s.arrived.add(f.Digest, s.arrived.take(e.Digest))
		return err
	})
}

// haveSized is have for a file whose handle may be somebody else's.
func (s *Store) haveSized(ctx context.Context, f artifacts.File) error {
	if err := s.haveUpTo(ctx, f.Digest, f.Size); err != nil || s.behind == nil {
		return err
	}
	return s.sized(f)
}

// Keep makes a record that was found behind the store one of its own, with all its objects.
func (s *Store) Keep(ctx context.Context, r Record) error {
	b := s.batch(false)
	defer b.Close()
	if err := s.Bring(ctx, r.Objects); err != nil {
		return err
	}
	for _, f := range r.Objects {
		if _, err := b.Keep(ctx, f); err != nil {
			return err
		}
	}
	return b.Commit(ctx, r)
}

// Own reports whether the store has the action's record itself, with all its objects.
func (s *Store) Own(ctx context.Context, id artifacts.ActionID) (bool, error) {
	_, err := s.lookupHere(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// KeepWhole keeps those of some records that are not the store's own yet and whose objects
// all are here by now.
func (s *Store) KeepWhole(ctx context.Context, records []Record) error {
	if s.behind == nil {
		return nil
	}
	return tree.Each(ctx, len(records), func(ctx context.Context, i int) error {
		r := records[i]
		s.behind.Use(r)
		if own, err := s.Own(ctx, r.Action); own || err != nil {
			return err
		}
		for _, f := range r.Objects {
			if err := s.Holds(ctx, f); isMiss(err) {
				return nil
			} else if err != nil {
				return err
			}
		}
		return s.Keep(ctx, r)
	})
}

// Share publishes a record of this store, beside whatever else goes on, to what is behind
// the store, if that takes any. Where a tree lies outside is known to this machine alone, so
// that records of such trees are for nobody else: another one finds out where it has the tree,
// and what was made of it is found by the same digests.
func (s *Store) Share(r Record) {
	if s.behind != nil && !slices.ContainsFunc(r.Objects, func(f artifacts.File) bool { return f.Outside }) {
		s.behind.Share(s, r)
	}
}

// attempts is how often an object is fetched whose content is not that of its digest: a
// network can change what a bucket has whole.
const attempts = 3

// pull copies an object of at most that many bytes from behind the store.
func (s *Store) pull(ctx context.Context, digest artifacts.Digest, most int64) error {
	unlock, err := s.pulls.lock(ctx, digest, func(string) {})
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.check(ctx, digest); !isMiss(err) {
		return err // another goroutine was faster
	}
	lost := fmt.Errorf("object %s: %w", digest, ErrNotFound)
	for place := range s.behind.Places() {
		err := s.pullFrom(ctx, digest, most, place)
		switch {
		case !isMiss(err):
			return err
		case errors.Is(err, ErrDamaged), !errors.Is(lost, ErrDamaged):
			lost = err
		}
	}
	if errors.Is(lost, ErrDamaged) {
		s.behind.Spoil(digest)
	}
	return lost
}

// pullFrom copies an object from one of the places where it may be.
func (s *Store) pullFrom(ctx context.Context, digest artifacts.Digest, most int64, place int) (err error) {
	for range attempts {
		if err = s.pullOnce(ctx, digest, most, place); !errors.Is(err, ErrDamaged) {
			break
		}
	}
	return err
}

func (s *Store) pullOnce(ctx context.Context, digest artifacts.Digest, most int64, place int) error {
	r, err := s.behind.Open(ctx, digest, place)
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, err)
	}
	defer r.Close()
	counted := &counter{ReadCloser: r, most: most, all: &s.arrived.all}
	defer func() { s.arrived.add(digest, counted.n) }()
	verified := verify(counted, digest, func() error { return ErrDamaged })
	tmp, err := s.dir.Name()
	if err != nil {
		return err
	}
	err = s.dir.Write(tmp, disk.Frozen, true, func(f *os.File) error {
		_, err := disk.Copy(ctx, f, verified)
		return err
	})
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, err)
	}
	return s.place(ctx, tmp, digest)
}

// EachObject calls f, from a few goroutines, for every object that the record's artifacts
// consist of, which the store has: files of a tree first, then its manifest.
func (s *Store) EachObject(ctx context.Context, r Record, f func(ctx context.Context, digest artifacts.Digest) error) error {
	return tree.Each(ctx, len(r.Objects), func(ctx context.Context, i int) error {
		file := r.Objects[i]
		if file.Tree && !file.Outside {
			m, err := s.manifest(ctx, file.Digest)
			if err != nil {
				return err
			}
			if err := m.EachFile(ctx, func(ctx context.Context, e tree.Entry) error { return f(ctx, e.Digest) }); err != nil {
				return err
			}
		}
		return f(ctx, file.Digest)
	})
}

// ObjectFile opens an object that this machine has, to read it from anywhere. It fails with
// ErrNotFound or ErrDamaged.
func (s *Store) ObjectFile(ctx context.Context, digest artifacts.Digest) (*os.File, error) {
	if err := s.check(ctx, digest); err != nil {
		return nil, err
	}
	f, err := disk.OpenFile(s.objectPath(digest))
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", digest, missing(err))
	}
	return f, nil
}
