package store

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// Inventory is what is in a store's directory, without the content.
type Inventory struct {
	Records map[artifacts.ActionID]*Kept
	Objects map[artifacts.Digest]*Kept
	Other   []*Kept // trees, checkpoints, outputs, journals, what was put into quarantine
}

// Kind says what something in a store is, by the directory that it is in.
type Kind string

// The kinds.
const (
	Records     Kind = "actions"
	Objects     Kind = "objects"
	Trees       Kind = "trees"
	Checkpoints Kind = "checkpoints"
	Outputs     Kind = "outputs"
	Journals    Kind = "runs"
	Quarantined Kind = "quarantine"
	Outside     Kind = "outside" // notes of where trees lie that are not in the store
	Jobs        Kind = "jobs"    // what executors hand to other machines
)

// Kept is a thing in a store.
type Kept struct {
	Kind  Kind
	Path  string    // in the store's directory
	Size  int64     // bytes that it takes on the disk
	Since time.Time // when it was put there or last used, or later

	Action artifacts.ActionID // of a record or a checkpoint; of an object, that of a record that refers to it
	Digest artifacts.Digest   // of an object or a tree
	Step   string             // of a record; of an object, that of the same record
	Run    string             // likewise
	Record *Record            // of a record: without preimage and output; nil where it is damaged

	uses []artifacts.Digest // of a record: all objects that it needs
}

// Inventory lists what is in the store. The records come first: what is committed meanwhile
// may add an object of no record, but no record whose objects are not listed.
func (s *Store) Inventory(ctx context.Context) (*Inventory, error) {
	v := &Inventory{Records: map[artifacts.ActionID]*Kept{}, Objects: map[artifacts.Digest]*Kept{}}
	for info, err := range s.dir.List(ctx, blob.Action) {
		if err != nil {
			return nil, err
		}
		v.Records[info.Key.Hash] = s.keptRecord(ctx, info.Key)
	}
	for info, err := range s.dir.List(ctx, blob.Object) {
		if err != nil {
			return nil, err
		}
		k := s.kept(Objects, info.Key.String())
		k.Digest = info.Key.Hash
		v.Objects[info.Key.Hash] = k
	}
	v.own()
	for _, list := range []func() ([]*Kept, error){s.keptTrees, s.keptPlaces, s.keptCheckpoints, s.keptOutputs, s.keptJournals, s.keptInQuarantine, s.keptJobs} {
		all, err := list()
		if err != nil {
			return nil, err
		}
		v.Other = append(v.Other, all...)
	}
	return v, ctx.Err()
}

// All yields everything.
func (v *Inventory) All(yield func(*Kept) bool) {
	for _, k := range v.Records {
		if !yield(k) {
			return
		}
	}
	for _, k := range v.Objects {
		if !yield(k) {
			return
		}
	}
	for _, k := range v.Other {
		if !yield(k) {
			return
		}
	}
}

func (s *Store) keptRecord(ctx context.Context, key blob.Key) *Kept {
	k := s.kept(Records, key.String())
	k.Action = key.Hash
	if r, err := s.readRecord(ctx, k.Action); err == nil {
		k.Step, k.Run = r.Step, r.Run
		k.uses = s.uses(r.Objects)
		r.Preimage, r.Output = nil, nil
		k.Record = &r
	}
	return k
}

// uses returns all objects that artifacts consist of, as far as they can be read.
func (s *Store) uses(files []artifacts.File) (all []artifacts.Digest) {
	for _, f := range files {
		all = append(all, f.Digest)
		if !f.Tree || f.Outside {
			continue
		}
		for _, e := range s.peek(f.Digest) {
			if !e.Digest.IsZero() {
				all = append(all, e.Digest)
			}
		}
	}
	return all
}

// peek reads a manifest, and leaves one that is damaged where it is.
func (s *Store) peek(digest artifacts.Digest) tree.Manifest {
	b, err := disk.ReadFile(s.objectPath(digest))
	if err != nil || artifacts.Sum(b) != digest {
		return nil
	}
	m, _ := tree.Decode(b)
	return m
}

// own gives each object the step and the run of the record that came first.
func (v *Inventory) own() {
	first := map[artifacts.Digest]time.Time{}
	for _, r := range v.Records {
		for _, digest := range r.uses {
			o := v.Objects[digest]
			if o == nil {
				continue
			}
			was, ok := first[digest]
			if at := r.Record.Started; !ok || at.Before(was) || at.Equal(was) && r.Path < v.Records[o.Action].Path {
				first[digest], o.Action, o.Step, o.Run = at, r.Action, r.Step, r.Run
			}
		}
	}
}

// kept describes what is at a path in the store's directory.
func (s *Store) kept(kind Kind, path string) *Kept {
	k := &Kept{Kind: kind, Path: path}
	_ = filepath.WalkDir(s.dir.Path(path), func(at string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile, or not readable: it is not counted
		}
		fi, err := e.Info()
		if err != nil {
			return nil
		}
		if since := time.Unix(0, disk.StampOf(fi).Ctime); since.After(k.Since) {
			k.Since = since
		}
		size, names := disk.Usage(fi)
		if kind != Trees || names == 1 || e.IsDir() { // a tree's files are objects, counted there
			k.Size += size
		}
		return nil
	})
	return k
}

func (s *Store) keptTrees() ([]*Kept, error) { return s.keptByDigest(Trees) }

// keptByDigest lists what has a digest for its name, below a directory of its first digits.
func (s *Store) keptByDigest(kind Kind) ([]*Kept, error) {
	return s.eachOf(string(kind), func(shard string) ([]*Kept, error) {
		return s.eachOf(filepath.Join(string(kind), shard), func(name string) ([]*Kept, error) {
			k := s.kept(kind, filepath.Join(string(kind), shard, name))
			if k.Digest.UnmarshalText([]byte(shard+name)) != nil {
				return nil, nil
			}
			return []*Kept{k}, nil
		})
	})
}

func (s *Store) keptCheckpoints() ([]*Kept, error) {
	return s.eachOf(string(Checkpoints), func(name string) ([]*Kept, error) {
		k := s.kept(Checkpoints, filepath.Join(string(Checkpoints), name))
		if k.Action.UnmarshalText([]byte(name)) != nil {
			return nil, nil
		}
		return []*Kept{k}, nil
	})
}

// keptOutputs lists the directories of copies that no link of a recipe's leads to any more,
// and those that one does; see [Store.Publish].
func (s *Store) keptOutputs() ([]*Kept, error) {
	return s.eachOf(string(Outputs), func(recipe string) ([]*Kept, error) {
		return s.eachOf(filepath.Join(string(Outputs), recipe), func(name string) ([]*Kept, error) {
			path := filepath.Join(string(Outputs), recipe, name)
			if fi, err := os.Lstat(s.dir.Path(path)); err != nil || !fi.IsDir() {
				return nil, nil
			}
			return []*Kept{s.kept(Outputs, path)}, nil
		})
	})
}

func (s *Store) keptJournals() ([]*Kept, error) {
	return s.eachOf(string(Journals), func(name string) ([]*Kept, error) {
		k := s.kept(Journals, filepath.Join(string(Journals), name))
		k.Run = strings.TrimSuffix(name, journalExt)
		return []*Kept{k}, nil
	})
}

func (s *Store) keptInQuarantine() ([]*Kept, error) {
	return s.eachOf(string(Quarantined), func(name string) ([]*Kept, error) {
		return []*Kept{s.kept(Quarantined, filepath.Join(string(Quarantined), name))}, nil
	})
}

func (s *Store) keptJobs() ([]*Kept, error) {
	return s.eachOf(string(Jobs), func(name string) ([]*Kept, error) {
		return []*Kept{s.kept(Jobs, filepath.Join(string(Jobs), name))}, nil
	})
}

// eachOf gathers what f lists for each entry of a directory, if there is one.
func (s *Store) eachOf(dir string, f func(name string) ([]*Kept, error)) (all []*Kept, err error) {
	entries, err := s.entries(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		of, err := f(e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}
