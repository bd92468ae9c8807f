package team

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/store"
)

// publishing is what is on its way to the buckets.
type publishing struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	slots  chan struct{} // of objects and records that are on their way

	mu     sync.Mutex
	sent   map[artifacts.ActionID]int64 // bytes of objects
	done   Published
	failed []result
}

// result is what is to be published in a bucket.
type result struct {
	to     *source
	store  *store.Store
	record store.Record
}

// Published says what became of results that were to be published.
type Published struct {
	Sent   int   `json:"sent"`
	There  int   `json:"there"` // others had published them
	Failed int   `json:"failed"`
	Bytes  int64 `json:"bytes"` // of objects that were sent

	Differ []string `json:"differ,omitempty"` // steps whose result, made again, is another one than what is there
}

// atOnce is how many requests are under way at the same time: most are for what is small, and
// wait for the server.
const atOnce = 32

func (p *publishing) begin() {
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.slots = make(chan struct{}, atOnce)
	p.sent = map[artifacts.ActionID]int64{}
}

func (p *publishing) slot(f func() error) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
		return f()
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// Share implements store.Behind: to each bucket that results are published to, objects
// first.
func (c *Cache) Share(s *store.Store, r store.Record) {
	for _, to := range c.sources {
		if !to.Write {
			continue
		}
		c.share(result{to, s, r})
	}
}

// share publishes a result beside whatever else goes on.
func (c *Cache) share(r result) {
	p := &c.publishing
	p.wait.Go(func() {
		there, err := c.publish(p.ctx, r.to, r.store, r.record)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case err != nil:
			p.failed = append(p.failed, r)
			r.to.unpublished(p.ctx, r.record.Step, err)
		case there:
			p.done.There++
		default:
			p.done.Sent++
		}
	})
}

// unpublished tells why a result was not published, unless that was told of an earlier request.
func (s *source) unpublished(ctx context.Context, step string, err error) {
	if ctx.Err() == nil && !errors.Is(err, ErrAway) {
		s.warned.Do(func() { s.notice(fmt.Sprintf("cache %q: the result of %s was not published: %v", s.Name, step, err)) })
	}
}

// Publish publishes a record of s with its objects, and returns once they are in all buckets that
// results are published to. Where its error is ErrAway, that may be tried again.
func (c *Cache) Publish(ctx context.Context, s *store.Store, r store.Record) error {
	for _, to := range c.sources {
		if !to.Write {
			continue
		}
		if _, err := c.publish(ctx, to, s, r); err != nil {
			return fmt.Errorf("cache %q: %w", to.Name, err)
		}
	}
	return nil
}

// Wait waits until all that was shared is published, or ctx is done; then it gives up what is
// not. What failed is tried once more: the bucket may be back. Nothing can be shared afterwards.
func (c *Cache) Wait(ctx context.Context) Published {
	p := &c.publishing
	stop := context.AfterFunc(ctx, p.cancel)
	defer stop()
	p.wait.Wait()
	for _, to := range c.sources {
		c.shareAgain(to)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.Failed = len(p.failed)
	slices.Sort(p.done.Differ)
	return p.done
}

// shareAgain publishes what could not be published in a bucket: one result first, and the others if that
// is possible by now.
func (c *Cache) shareAgain(to *source) {
	p := &c.publishing
	var again []result
	p.failed = slices.DeleteFunc(p.failed, func(r result) bool {
		if r.to == to {
			again = append(again, r)
		}
		return r.to == to
	})
	if len(again) == 0 {
		return
	}
	to.health.lastChance()
	before := len(p.failed)
	c.share(again[0])
	p.wait.Wait()
	if len(p.failed) > before {
		p.failed = append(p.failed, again[1:]...)
		return
	}
	for _, r := range again[1:] {
		c.share(r)
	}
	p.wait.Wait()
}

// publish publishes a result in one bucket, and reports whether it was there.
func (c *Cache) publish(ctx context.Context, to *source, s *store.Store, r store.Record) (there bool, err error) {
	err = s.EachObject(ctx, r, func(ctx context.Context, digest artifacts.Digest) error {
		return c.send(ctx, to, s, r.Action, digest)
	})
	if err != nil {
		return false, err
	}
	me := c.me
	r.Shared = &me
	if to.Sign != nil {
		if err := sign(&r, to.Sign); err != nil {
			return false, err
		}
	}
	encoded, err := store.EncodeRecord(r)
	if err != nil {
		return false, err
	}
	if len(encoded) > mostRecord {
		return false, fmt.Errorf("its record has %d bytes, and nobody reads more than %d", len(encoded), mostRecord)
	}
	err = c.publishing.slot(func() error { return to.put(ctx, actionKey(r.Action), encoded, false) })
	if errors.Is(err, fs.ErrExist) {
		return c.compare(ctx, to, r, encoded)
	}
	return false, err
}

// send makes sure that a bucket has an object of an action's. What this machine does not have
// another one may have sent there.
func (c *Cache) send(ctx context.Context, to *source, s *store.Store, of artifacts.ActionID, digest artifacts.Digest) error {
	return c.publishing.slot(func() error {
		size := int64(anySize)
		f, lacking := s.ObjectFile(ctx, digest)
		if lacking == nil {
			defer f.Close()
			var err error
			if size, err = blob.SizeOf(f); err != nil {
				return err
			}
		}
		if !c.isSpoilt(digest) {
			if err := to.has(ctx, digest, size); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if lacking != nil {
			return lacking
		}
		if err := to.upload(ctx, digest, f); err != nil {
			return err
		}
		to.there.Store(digest, size)
		c.publishing.mu.Lock()
		defer c.publishing.mu.Unlock()
		c.publishing.done.Bytes += size
		c.publishing.sent[of] += size
		return nil
	})
}

// longestUpload is how long nothing may be read of an object that is being sent before the bucket counts
// as away: a server takes a while to put together what came in many parts.
const longestUpload = 5 * time.Minute

// upload sends an object, however long that takes while it goes on.
func (s *source) upload(ctx context.Context, digest artifacts.Digest, f *os.File) error {
	return s.ask(ctx, func(outer context.Context) error {
		ctx, cancel := context.WithCancel(outer)
		defer cancel()
		stalls := time.AfterFunc(longestUpload, cancel)
		defer stalls.Stop()
		err := s.Bucket.Put(ctx, objectKey(digest), &upload{f, stalls})
		if err != nil && ctx.Err() != nil && outer.Err() == nil {
			return fmt.Errorf("%s: nothing of an object was taken for %v", s.Bucket, longestUpload)
		}
		return err
	})
}

// upload is a file that is being sent. Its parts may be read at the same time.
type upload struct {
	*os.File
	stalls *time.Timer // ends it
}

func (u *upload) Read(b []byte) (int, error) {
	u.stalls.Reset(longestUpload)
	return u.File.Read(b)
}

func (u *upload) ReadAt(b []byte, off int64) (int, error) {
	u.stalls.Reset(longestUpload)
	return u.File.ReadAt(b, off)
}

func (s *source) put(ctx context.Context, key blob.Key, content []byte, replace bool) error {
	return s.brief(ctx, func(ctx context.Context) error {
		if replace {
			return s.Bucket.Put(ctx, key, bytes.NewReader(content))
		}
		return s.Bucket.Create(ctx, key, bytes.NewReader(content))
	})
}

// compare looks at the record that was there before ours. Ours takes its place where that one
// is of no use: damaged, not to be trusted, or of objects that are not there. Else it stays, and
// where it says something else, that is noted: the step is not deterministic.
func (c *Cache) compare(ctx context.Context, to *source, ours store.Record, encoded []byte) (there bool, err error) {
	theirs, err := to.record(ctx, ours.Action)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, to.put(ctx, actionKey(ours.Action), encoded, true)
	case err != nil:
		return false, err
	}
	if bytes.Equal(theirs.Output, ours.Output) {
		unsigned := to.Sign != nil && (theirs.Shared == nil || len(theirs.Shared.Signature) == 0) // it is a node's, which has no key
		if unsigned || !slices.Equal(theirs.Objects, ours.Objects) {
			return false, to.put(ctx, actionKey(ours.Action), encoded, true)
		}
		return true, nil
	}
	for _, f := range theirs.Objects {
		if c.isSpoilt(f.Digest) || errors.Is(to.has(ctx, f.Digest, sizeOf(f)), fs.ErrNotExist) {
			return false, to.put(ctx, actionKey(ours.Action), encoded, true)
		}
	}
	c.publishing.mu.Lock()
	defer c.publishing.mu.Unlock()
	c.publishing.done.Differ = append(c.publishing.done.Differ, ours.Step)
	return true, nil
}

// renewAfter is the age from which on a record that is used is put again, so that a bucket
// may forget what nobody uses by its age.
const renewAfter = 3 * 24 * time.Hour

// Use implements store.Behind. Only who may write can renew a record.
func (c *Cache) Use(r store.Record) {
	c.mu.Lock()
	f, ok := c.records[r.Action]
	c.mu.Unlock()
	if !ok || !f.in.Write {
		return
	}
	c.publishing.wait.Go(func() {
		_ = c.publishing.slot(func() error { return f.in.renew(c.publishing.ctx, f.Record, time.Now()) })
	})
}

// renew puts an old record again, as it is.
func (s *source) renew(ctx context.Context, r store.Record, now time.Time) error {
	var at time.Time
	err := s.brief(ctx, func(ctx context.Context) error {
		info, err := s.Bucket.Stat(ctx, actionKey(r.Action))
		at = info.Put
		return err
	})
	if err != nil || now.Sub(at) < renewAfter {
		return err
	}
	encoded, err := store.EncodeRecord(r)
	if err != nil {
		return err
	}
	return s.put(ctx, actionKey(r.Action), encoded, true)
}

// String says it in a line: "12 sent, 3 there, 1 failed".
func (p Published) String() string {
	return fmt.Sprintf("%d sent, %d there, %d failed", p.Sent, p.There, p.Failed)
}

// Sent returns how many bytes of objects were sent for an action, and were not told of before.
func (c *Cache) Sent(id artifacts.ActionID) (n int64) {
	p := &c.publishing
	p.mu.Lock()
	defer p.mu.Unlock()
	n = p.sent[id]
	delete(p.sent, id)
	return n
}

// Push makes sure that the buckets that are published to have some artifacts of s, which belong
// to no record: what the action's job reads elsewhere.
func (c *Cache) Push(ctx context.Context, s *store.Store, of artifacts.ActionID, files []artifacts.File) error {
	for _, to := range c.sources {
		if !to.Write {
			continue
		}
		err := s.EachObject(ctx, store.Record{Objects: files}, func(ctx context.Context, digest artifacts.Digest) error {
			return c.send(ctx, to, s, of, digest)
		})
		if err != nil {
			return fmt.Errorf("cache %q: %w", to.Name, err)
		}
	}
	return nil
}

// Learn has a record be found that somebody else has published just now, and has told of.
func (c *Cache) Learn(r store.Record) error {
	for _, s := range c.sources {
		if s.Write {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.records[r.Action] = found{r, s}
			return nil
		}
	}
	return errors.New("no cache is published to")
}
