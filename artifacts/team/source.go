package team

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/store"
)

// source is a bucket in use.
type source struct {
	Source
	notice func(string)

	there      sync.Map // artifacts.Digest: int64, the sizes of objects that the bucket had in this process's time
	health     health
	unanswered atomic.Int64 // requests, also those that were not sent
	insistence time.Duration

	// What was told, each once.
	warned   sync.Once // that a request failed
	back     sync.Once // that the bucket answers again
	odd      sync.Once // that there are records that no store would have made
	distrust sync.Once // that there are records that nobody trusted has signed
}

// ErrAway reports a bucket that does not answer. It may do so later.
var ErrAway = errors.New("the bucket does not answer")

// ask makes a request, again where the bucket is away and its users insist.
func (s *source) ask(ctx context.Context, request func(ctx context.Context) error) error {
	began := time.Now()
	for pause := time.Second; ; pause = min(2*pause, again) {
		err := s.once(ctx, request)
		if !errors.Is(err, ErrAway) || time.Since(began) >= s.insistence {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// once makes a request, unless the bucket is away, and keeps account of failures. That
// something is not there, or is there already, is an answer.
func (s *source) once(ctx context.Context, request func(ctx context.Context) error) error {
	if s.insistence == 0 && !s.health.mayAsk() {
		s.unanswered.Add(1)
		return ErrAway
	}
	err := request(ctx)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist):
		if s.health.answered() {
			s.back.Do(func() { s.notice(fmt.Sprintf("cache %q answers again", s.Name)) })
		}
	case ctx.Err() != nil: // the caller wants no answer any more
	default:
		s.health.failed()
		s.unanswered.Add(1)
		s.warned.Do(func() {
			s.notice(fmt.Sprintf("cache %q: a request failed, and where that happens the local store is used alone: %v", s.Name, err))
		})
		if !errors.Is(err, blob.ErrRefused) {
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
	}
	return err
}

// again is the longest pause of whoever insists.
const again = 15 * time.Second

// brief is ask for something small.
func (s *source) brief(ctx context.Context, request func(ctx context.Context) error) error {
	return s.ask(ctx, func(outer context.Context) error {
		ctx, cancel := context.WithTimeout(outer, patience)
		defer cancel()
		err := request(ctx)
		if err != nil && ctx.Err() != nil && outer.Err() == nil {
			return fmt.Errorf("%s: no answer within %v", s.Bucket, patience)
		}
		return err
	})
}

// mostRecord bounds the size of a record, as 64 are read into memory at a time. One of half a
// million files is as large.
const mostRecord = 64 << 20

// record returns the record of an action, if it may be trusted.
func (s *source) record(ctx context.Context, id artifacts.ActionID) (r store.Record, err error) {
	b, err := s.read(ctx, id)
	if err != nil {
		return r, err
	}
	if r, err = store.DecodeRecord(b, id); err != nil { // damaged, or another action's: once more
		if b, err = s.read(ctx, id); err == nil {
			r, err = store.DecodeRecord(b, id)
		}
	}
	if err != nil {
		return store.Record{}, fmt.Errorf("%w: %w", store.ErrNotFound, err)
	}
	if err := r.Check(); err != nil {
		s.odd.Do(func() {
			s.notice(fmt.Sprintf("cache %q: results are passed over that no runner has published like that; the first is of %.100q: %v", s.Name, r.Step, err))
		})
		return store.Record{}, fmt.Errorf("%w: %w", store.ErrNotFound, err)
	}
	if err := trusted(r, s.Trust); err != nil {
		s.distrust.Do(func() {
			s.notice(fmt.Sprintf("cache %q: results are passed over that nobody named in trust has signed; the first is of %s: %v", s.Name, r.Step, err))
		})
		return store.Record{}, fmt.Errorf("%w: %w", store.ErrNotFound, err)
	}
	return r, nil
}

func (s *source) read(ctx context.Context, id artifacts.ActionID) (b []byte, err error) {
	err = s.brief(ctx, func(ctx context.Context) error {
		r, err := s.Bucket.Open(ctx, actionKey(id))
		if err != nil {
			return err
		}
		defer r.Close()
		b, err = io.ReadAll(io.LimitReader(r, mostRecord))
		return err
	})
	return b, err
}

// anySize stands for a size that is not known: that of a tree's manifest, or of what a server does not tell.
const anySize = -1

// sizeOf returns how large the object of a handle is.
func sizeOf(f artifacts.File) int64 {
	if f.Tree { // whose size is that of all its files
		return anySize
	}
	return f.Size
}

// has fails unless the bucket has the object. One of another size is not it: somebody has cut it.
func (s *source) has(ctx context.Context, digest artifacts.Digest, size int64) error {
	there, ok := s.there.Load(digest)
	if !ok {
		var info blob.Info
		err := s.brief(ctx, func(ctx context.Context) (err error) {
			info, err = s.Bucket.Stat(ctx, objectKey(digest))
			return err
		})
		if err != nil {
			return err
		}
		there = info.Size
		s.there.Store(digest, there)
	}
	if n := there.(int64); n != size && n >= 0 && size >= 0 {
		return fmt.Errorf("object %s: %w: %d bytes, and not %d", digest, fs.ErrNotExist, n, size)
	}
	return nil
}

// longestPause is how long nothing may come of an object, whatever its size, before it counts as
// lost.
const longestPause = time.Minute

// Places implements store.Behind.
func (c *Cache) Places() int { return len(c.sources) }

// Open implements store.Behind.
func (c *Cache) Open(ctx context.Context, digest artifacts.Digest, place int) (io.ReadCloser, error) {
	r, err := c.sources[place].open(ctx, digest)
	switch {
	case err == nil:
		return r, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, fs.ErrNotExist): // which says no more
		return nil, store.ErrNotFound
	}
	return nil, fmt.Errorf("%w: %w", store.ErrNotFound, err)
}

func (s *source) open(ctx context.Context, digest artifacts.Digest) (io.ReadCloser, error) {
	inner, cancel := context.WithCancel(ctx)
	d := &download{source: s, ctx: ctx, cancel: cancel}
	d.stalls = time.AfterFunc(longestPause, func() { d.stalled.Store(true); cancel() })
	err := s.ask(ctx, func(context.Context) (err error) {
		d.ReadCloser, err = s.Bucket.Open(inner, objectKey(digest))
		return d.why(err)
	})
	if err != nil {
		d.stalls.Stop()
		cancel()
		return nil, err
	}
	d.stalls.Stop()
	return d, nil
}

// download is an object that is being read. What does not come is a miss, and no failure of
// whatever reads it.
type download struct {
	io.ReadCloser
	source *source
	ctx    context.Context // the reader's, which a stall does not cancel
	cancel context.CancelFunc

	stalls  *time.Timer // cancels a download of which nothing comes for a while
	stalled atomic.Bool
}

// why returns what kept the object from coming, after the error err.
func (d *download) why(err error) error {
	if err != nil && d.stalled.Load() {
		return fmt.Errorf("%s: nothing came of an object for %v", d.source.Bucket, longestPause)
	}
	return err
}

func (d *download) Read(b []byte) (int, error) {
	d.stalls.Reset(longestPause)
	n, err := d.ReadCloser.Read(b)
	d.stalls.Stop() // a disk may take its time
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	case d.ctx.Err() != nil: // nobody waits for it any more
		return n, d.ctx.Err()
	}
	err = d.why(err)
	_ = d.source.once(d.ctx, func(context.Context) error { return err })
	return n, fmt.Errorf("%w: %w", store.ErrNotFound, err)
}

func (d *download) Close() error {
	d.stalls.Stop()
	d.cancel()
	return d.ReadCloser.Close()
}
