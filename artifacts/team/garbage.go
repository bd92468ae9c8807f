package team

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/store"
	"eyrie/artifacts/tree"
)

// Garbage is what nobody uses of a bucket.
type Garbage struct {
	Records []blob.Info   // that were put, or used by one who may write, before some time
	Objects []blob.Info   // that belong to no other record
	Jobs    []blob.Info   // files of jobs whose runner has never come back
	Uploads []blob.Upload // that nobody has gone on with
	Total   int64         // bytes of all that is in the bucket

	Unlisted error // why uploads are not known; nil where they are, or where a bucket has none

	bucket blob.Bucket
}

// uploader is a bucket in which uploads that were not finished take room.
type uploader interface {
	Uploads(ctx context.Context) iter.Seq2[blob.Upload, error]
	Abort(ctx context.Context, u blob.Upload) error
}

// stale is the age from which on an upload is nobody's any more: 640 GB, the most that there can be,
// take as long at 1 MB/s.
const stale = 8 * 24 * time.Hour

// young is the age below which an object is no garbage, as its record may be on its way.
const young = 24 * time.Hour

// abandoned is the age from which on a job's file is read by nobody any more.
const abandoned = 30 * 24 * time.Hour

// FindGarbage looks for what nobody has used since some time. It reads all records that stay. It
// fails for a bucket that is not a store's, or in a format of which it does not know what is garbage.
func FindGarbage(ctx context.Context, from Source, now, since time.Time) (*Garbage, error) {
	if err := from.Bucket.Check(ctx, false); err != nil && !errors.Is(err, blob.ErrEmpty) {
		return nil, err
	}
	g := &Garbage{bucket: from.Bucket}
	var stay []blob.Key
	for info, err := range from.Bucket.List(ctx, blob.Action) {
		if err != nil {
			return nil, err
		}
		g.Total += info.Size
		if info.Put.Before(since) {
			g.Records = append(g.Records, info)
		} else {
			stay = append(stay, info.Key)
		}
	}
	needed, err := g.needed(ctx, stay)
	if err != nil {
		return nil, err
	}
	for info, err := range from.Bucket.List(ctx, blob.Object) {
		if err != nil {
			return nil, err
		}
		g.Total += info.Size
		if !needed[info.Key.Hash] && now.Sub(info.Put) > young {
			g.Objects = append(g.Objects, info)
		}
	}
	for info, err := range from.Bucket.List(ctx, blob.Job) {
		if err != nil {
			return nil, err
		}
		g.Total += info.Size
		if now.Sub(info.Put) > abandoned {
			g.Jobs = append(g.Jobs, info)
		}
	}
	g.Unlisted = g.findUploads(ctx, now)
	return g, ctx.Err()
}

func (g *Garbage) findUploads(ctx context.Context, now time.Time) error {
	b, ok := g.bucket.(uploader)
	if !ok {
		return nil
	}
	for u, err := range b.Uploads(ctx) {
		if err != nil {
			return err
		}
		if now.Sub(u.Begun) > stale {
			g.Uploads = append(g.Uploads, u)
		}
	}
	return nil
}

// needed returns the objects that records refer to. What cannot be read of a record or a tree
// refers to nothing: it is a miss for everybody.
func (g *Garbage) needed(ctx context.Context, records []blob.Key) (map[artifacts.Digest]bool, error) {
	var mu sync.Mutex
	all, trees := map[artifacts.Digest]bool{}, map[artifacts.Digest]bool{}
	err := tree.Each(ctx, len(records), func(ctx context.Context, i int) error {
		var r store.Record
		err := g.read(ctx, records[i], mostRecord, func(b []byte) (err error) {
			r, err = store.DecodeRecord(b, records[i].Hash)
			return err
		})
		mu.Lock()
		defer mu.Unlock()
		for _, f := range r.Objects {
			all[f.Digest] = true
			if f.Tree && !f.Outside {
				trees[f.Digest] = true
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	digests := slices.Collect(maps.Keys(trees))
	err = tree.Each(ctx, len(digests), func(ctx context.Context, i int) error {
		var m tree.Manifest
		err := g.read(ctx, objectKey(digests[i]), store.MostManifest, func(b []byte) (err error) {
			if artifacts.Sum(b) != digests[i] {
				return store.ErrDamaged
			}
			m, err = tree.Decode(b)
			return err
		})
		mu.Lock()
		defer mu.Unlock()
		for _, e := range m {
			all[e.Digest] = true
		}
		return err
	})
	return all, err
}

// read reads a blob whole, and again where decode fails: a network can change what a bucket has
// whole, and what that refers to must not go for it. It decodes nothing where the blob is
// gone, or is nothing that anybody could use, as what is larger than most.
func (g *Garbage) read(ctx context.Context, key blob.Key, most int64, decode func([]byte) error) error {
	const attempts = 3
	for range attempts {
		b, err := g.readOnce(ctx, key, most)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		if decode(b) == nil {
			return nil
		}
	}
	return nil
}

func (g *Garbage) readOnce(ctx context.Context, key blob.Key, most int64) ([]byte, error) {
	r, err := g.bucket.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, most))
}

// Size returns how many bytes the garbage takes.
func (g *Garbage) Size() (n int64) {
	for _, all := range [][]blob.Info{g.Records, g.Objects, g.Jobs} {
		for _, info := range all {
			n += info.Size
		}
	}
	return n
}

// Remove removes it, records first. A record that was used meanwhile stays; an object of it may
// be gone then, and it is a miss.
func (g *Garbage) Remove(ctx context.Context) error {
	for _, all := range [][]blob.Info{g.Records, g.Objects, g.Jobs} {
		err := tree.Each(ctx, len(all), func(ctx context.Context, i int) error {
			was := all[i]
			now, err := g.bucket.Stat(ctx, was.Key)
			if errors.Is(err, fs.ErrNotExist) || err == nil && now.Put.After(was.Put) {
				return nil
			} else if err != nil {
				return err
			}
			return g.bucket.Delete(ctx, was.Key)
		})
		if err != nil {
			return err
		}
	}
	return tree.Each(ctx, len(g.Uploads), func(ctx context.Context, i int) error {
		if err := g.bucket.(uploader).Abort(ctx, g.Uploads[i]); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
