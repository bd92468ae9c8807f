package cli

import (
	"context"
	"io"
	"sync"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
)

// lateCache is the cache of commands that look at the past. Most of what they tell is in
// journals, and most results are in the store: the cache is asked when one is not, because a run
// that only passed it on has not fetched it. What is wrong with the site file is then no reason
// to tell nothing.
type lateCache struct {
	open func() (*team.Cache, error)
	tell func(string)

	once  sync.Once
	cache *team.Cache // nil for none
}

// opened returns the cache, if there is one that can be used.
func (l *lateCache) opened() *team.Cache {
	l.once.Do(func() {
		var err error
		if l.cache, err = l.open(); err != nil {
			l.tell(err.Error())
		}
	})
	return l.cache
}

func (l *lateCache) Record(ctx context.Context, id artifacts.ActionID) (store.Record, error) {
	if c := l.opened(); c != nil {
		return c.Record(ctx, id)
	}
	return store.Record{}, store.ErrNotFound
}

func (l *lateCache) Has(ctx context.Context, f artifacts.File) error {
	if c := l.opened(); c != nil {
		return c.Has(ctx, f)
	}
	return store.ErrNotFound
}

func (l *lateCache) Places() int {
	if c := l.opened(); c != nil {
		return c.Places()
	}
	return 0
}

func (l *lateCache) Open(ctx context.Context, digest artifacts.Digest, place int) (io.ReadCloser, error) {
	return l.opened().Open(ctx, digest, place)
}

func (l *lateCache) Spoil(digest artifacts.Digest) {
	if c := l.opened(); c != nil {
		c.Spoil(digest)
	}
}

// Whoever looks at the past neither uses nor makes results.
func (*lateCache) Use(store.Record)                 {}
func (*lateCache) Share(*store.Store, store.Record) {}
