// Package team is what a team shares: the results of all its members' stores, in one
// or several buckets, behind each store.
//
// A bucket reads as a store's directory does: objects by digest, records by action,
// each record put once, after its objects. Nobody trusts it: objects are verified by
// the store, a record by the action's preimage and, where a reader names keys, by a
// signature. What a bucket has is found out anew by each process and never
// written down, since buckets lose objects, to lifecycle rules and to people.
//
// A bucket that cannot be asked costs its results and nothing else. After some failures in
// a row it is left alone until it is back, so that a run without a network waits once.
package team

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/store"
	"eyrie/artifacts/tree"
)

// Bucket is a bucket that many machines use.
type Bucket interface {
	blob.Bucket
	// Check asks whether the bucket can be used, also for writing. Its error is
	// blob.ErrRefused where somebody must set something right, and blob.ErrEmpty where it can be read and
	// there is nothing yet.
	Check(ctx context.Context, write bool) error
	String() string
}

// Source is a bucket, and what to do with it.
type Source struct {
	Name   string
	Bucket Bucket
	Write  bool                // publish what is made here
	Trust  []ed25519.PublicKey // take only records that one of these has signed; none for all
	Sign   ed25519.PrivateKey  // of what is published; nil for not at all
}

// Public returns the public key that goes with Sign; nil for none.
func (s *Source) Public() ed25519.PublicKey {
	if s.Sign == nil {
		return nil
	}
	return s.Sign.Public().(ed25519.PublicKey)
}

// Cache is the buckets behind a store. It implements store.Behind.
type Cache struct {
	sources []*source
	me      store.Shared // what records that are published here say
	notice  func(string)

	mu      sync.Mutex
	records map[artifacts.ActionID]found     // that were asked for and found
	missing map[artifacts.ActionID]time.Time // when they were asked for and not found
	spoilt  map[artifacts.Digest]bool

	publishing publishing
}

// found is a record, and where it was.
type found struct {
	store.Record
	in *source
}

// patience is how long a bucket may take for what is small, and firstPatience to say that it is
// there: somebody without a network waits for that.
const patience, firstPatience = 20 * time.Second, 10 * time.Second

// Open returns the cache of some buckets, each of which it checks. One that refuses is an
// error; one that cannot be reached is left out, with a notice. me says who publishes, and
// notice tells people something, from any goroutine.
func Open(ctx context.Context, sources []Source, me store.Shared, notice func(string)) (*Cache, error) {
	c := &Cache{me: me, notice: notice, records: map[artifacts.ActionID]found{}, missing: map[artifacts.ActionID]time.Time{}, spoilt: map[artifacts.Digest]bool{}}
	c.publishing.begin()
	checked := make([]error, len(sources))
	_ = tree.Each(ctx, len(sources), func(ctx context.Context, i int) error {
		ctx, cancel := context.WithTimeout(ctx, firstPatience)
		defer cancel()
		checked[i] = sources[i].Bucket.Check(ctx, sources[i].Write)
		return nil
	})
	for i, err := range checked {
		switch {
		case errors.Is(err, blob.ErrEmpty): // or, where a prefix is misspelt, never will be
			notice(fmt.Sprintf("cache %q: %v", sources[i].Name, err))
			fallthrough
		case err == nil:
			c.sources = append(c.sources, &source{Source: sources[i], notice: notice})
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, blob.ErrRefused):
			return nil, fmt.Errorf("cache %q: %w", sources[i].Name, err)
		default:
			notice(fmt.Sprintf("cache %q cannot be reached, and only the local store is used: %v", sources[i].Name, err))
		}
	}
	return c, nil
}

// Insist has requests of a bucket that does not answer be made again for as long as d: by whoever
// has nothing to do without it. It is called before the cache is used.
func (c *Cache) Insist(d time.Duration) {
	for _, s := range c.sources {
		s.insistence = d
	}
}

// Writes reports whether there is a bucket that results are published to.
func (c *Cache) Writes() bool {
	for _, s := range c.sources {
		if s.Write {
			return true
		}
	}
	return false
}

// recently is how long a miss is believed: a run that finds out that a step must run, and then
// runs it, looks three times.
const recently = 10 * time.Second

// Record implements store.Behind.
func (c *Cache) Record(ctx context.Context, id artifacts.ActionID) (store.Record, error) {
	c.mu.Lock()
	r, ok := c.records[id]
	recent := time.Since(c.missing[id]) < recently
	c.mu.Unlock()
	if ok {
		return r.Record, c.sound(r.Record)
	}
	if recent {
		return store.Record{}, store.ErrNotFound
	}
	for _, s := range c.sources {
		r, err := s.record(ctx, id)
		if ctx.Err() != nil {
			return store.Record{}, ctx.Err()
		}
		if err != nil || c.sound(r) != nil {
			continue
		}
		c.mu.Lock()
		c.records[id] = found{r, s}
		c.mu.Unlock()
		return r, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missing[id] = time.Now()
	return store.Record{}, store.ErrNotFound
}

// sound fails where one of a record's objects is known not to be what it should be.
func (c *Cache) sound(r store.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range r.Objects {
		if c.spoilt[f.Digest] {
			return store.ErrNotFound
		}
	}
	return nil
}

// Has implements store.Behind.
func (c *Cache) Has(ctx context.Context, f artifacts.File) error {
	if c.isSpoilt(f.Digest) {
		return store.ErrNotFound
	}
	for _, s := range c.sources {
		if s.has(ctx, f.Digest, sizeOf(f)) == nil {
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return store.ErrNotFound
}

// Spoil implements store.Behind.
func (c *Cache) Spoil(digest artifacts.Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spoilt[digest] = true
}

func (c *Cache) isSpoilt(digest artifacts.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spoilt[digest]
}

func objectKey(d artifacts.Digest) blob.Key    { return blob.Key{Kind: blob.Object, Hash: d} }
func actionKey(id artifacts.ActionID) blob.Key { return blob.Key{Kind: blob.Action, Hash: id} }

// Lost says how many requests each bucket left unanswered, in a line for each that did; "" for
// none.
func (c *Cache) Lost() string {
	var lines []string
	for _, s := range c.sources {
		if n := s.unanswered.Load(); n > 0 {
			lines = append(lines, fmt.Sprintf("cache %q: %d requests were not answered, and the local store was used alone for them", s.Name, n))
		}
	}
	return strings.Join(lines, "\n")
}
