package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/disk"
)

// Needed says what a collection must leave.
type Needed struct {
	Actions map[artifacts.ActionID]bool // their records with all objects, and their checkpoints
	Since   time.Time                   // and whatever was put, or used, from then on
}

// Hold keeps a collection from removing anything until release is called. Whoever finds
// something in the store holds it until something else says that it is needed: a record,
// a run's journal, a link of [Store.Temp]'s.
func (s *Store) Hold(ctx context.Context) (release func(), err error) {
	release, err = s.dir.Hold(ctx)
	return sync.OnceFunc(release), err
}

// Claim is Lookup for a run that will use what it finds: the record counts as young from
// then on.
func (s *Store) Claim(ctx context.Context, id artifacts.ActionID) (Record, error) {
	release, err := s.Hold(ctx)
	if err != nil {
		return Record{}, err
	}
	defer release()
	r, err := s.Lookup(ctx, id)
	if err == nil && s.behind != nil {
		if own, err := s.Own(ctx, id); !own && err == nil { // all of it, as it can turn out to be a miss only now
			s.behind.Use(r)
			if err := s.Keep(ctx, r); isMiss(err) {
				return r, fmt.Errorf("%w: %w", ErrNotFound, err)
			} else if err != nil {
				return Record{}, err
			}
		}
	}
	if err == nil {
		now := time.Now()
		_ = os.Chtimes(s.dir.File(actionKey(id)), now, now) // nobody can remove it where this cannot be
	}
	return r, err
}

// Garbage returns what nothing needs: the largest first.
func (s *Store) Garbage(v *Inventory, n Needed) []*Kept {
	objects, actions := n.mark(v)
	for digest := range s.linked() {
		objects[digest] = true
	}
	outputs := s.currentOutputs()
	var all []*Kept
	for k := range v.All {
		needed := !k.Since.Before(n.Since)
		switch k.Kind {
		case Records:
			needed = needed || actions[k.Action]
		case Objects, Trees, Outside:
			needed = needed || objects[k.Digest]
		case Checkpoints:
			needed = needed || n.Actions[k.Action] || s.inUse(k)
		case Outputs:
			needed = needed || outputs[k.Path]
		case Journals:
			needed = true
		case Jobs:
			needed = needed || time.Since(k.Since) < queued
		}
		if !needed {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, largestFirst)
	return all
}

// queued is how long a job may wait for another machine with nothing being written of it. Clusters
// have queues of weeks, and its files are small.
const queued = 30 * 24 * time.Hour

func largestFirst(a, b *Kept) int {
	if a.Size != b.Size {
		return int(max(-1, min(1, b.Size-a.Size)))
	}
	return strings.Compare(a.Path, b.Path)
}

// mark returns the objects and the actions that must stay. What somebody adopted cannot be
// made again, so it stays, too.
func (n Needed) mark(v *Inventory) (objects map[artifacts.Digest]bool, actions map[artifacts.ActionID]bool) {
	objects, actions = map[artifacts.Digest]bool{}, map[artifacts.ActionID]bool{}
	for id, r := range v.Records {
		adopted := r.Record != nil && r.Record.Adopted != nil
		if !n.Actions[id] && !adopted && r.Since.Before(n.Since) {
			continue
		}
		actions[id] = true
		for _, digest := range r.uses {
			objects[digest] = true
		}
	}
	return objects, actions
}

// linked returns the objects and trees that stages are reading, by the links in the
// directories of living processes.
func (s *Store) linked() map[artifacts.Digest]bool {
	all := map[artifacts.Digest]bool{}
	for _, link := range s.links() {
		kind, name, _ := strings.Cut(link, string(filepath.Separator))
		var digest artifacts.Digest
		hex := strings.ReplaceAll(name, string(filepath.Separator), "")
		if len(hex) >= 64 && (kind == string(Objects) || kind == string(Trees)) && digest.UnmarshalText([]byte(hex[:64])) == nil {
			all[digest] = true
		}
	}
	return all
}

// inUse reports whether a stage is writing the checkpoint, or a part of it.
func (s *Store) inUse(k *Kept) bool {
	return slices.ContainsFunc(s.links(), func(link string) bool {
		return link == k.Path || strings.HasPrefix(link, k.Path+string(filepath.Separator))
	})
}

// links returns where the links in tmp/ lead to in the store.
func (s *Store) links() (all []string) {
	_ = filepath.WalkDir(s.dir.Path("tmp"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.Type()&os.ModeSymlink == 0 {
			return nil
		}
		if to, err := os.Readlink(path); err == nil {
			if in, ok := strings.CutPrefix(to, s.dir.Path()+string(filepath.Separator)); ok {
				all = append(all, in)
			}
		}
		return nil
	})
	return all
}

// currentOutputs returns the directories of outputs/ that links beside them lead to.
func (s *Store) currentOutputs() map[string]bool {
	current := map[string]bool{}
	links, _ := filepath.Glob(s.dir.Path(string(Outputs), "*", "*"))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil {
			rel, _ := filepath.Rel(s.dir.Path(), filepath.Join(filepath.Dir(link), filepath.Dir(to)))
			current[rel] = true
		}
	}
	return current
}

// Collect removes of what the inventory lists what nothing needs, once nobody holds the
// store any more, and returns that. It works beside runs: what they have found by then
// is needed, and what they look for later they make again. needs is called when no run
// can find anything.
func (s *Store) Collect(ctx context.Context, v *Inventory, needs func() (Needed, error)) ([]*Kept, error) {
	gone, trash, err := s.sweep(ctx, v, needs)
	if trash != "" {
		s.Discard(trash) // beside others, as it takes long
	}
	return gone, err
}

// sweep moves the garbage out of its place, records first: an object's record goes before
// it, also if the power is lost.
func (s *Store) sweep(ctx context.Context, v *Inventory, needs func() (Needed, error)) (gone []*Kept, trash string, err error) {
	release, err := s.dir.Alone(ctx)
	if err != nil {
		return nil, "", err
	}
	defer release()
	n, err := needs()
	if err != nil {
		return nil, "", err
	}
	if err := s.update(ctx, v); err != nil {
		return nil, "", err
	}
	if trash, err = s.Temp(); err != nil {
		return nil, "", err
	}
	garbage := s.Garbage(v, n)
	for _, records := range []bool{true, false} {
		var dirs []string
		for _, k := range garbage {
			if (k.Kind == Records) != records || !s.unused(k) {
				continue
			}
			if err := s.moveAway(k, trash); err != nil {
				return gone, trash, err
			}
			gone = append(gone, k)
			dirs = append(dirs, filepath.Dir(s.dir.Path(k.Path)))
		}
		if records {
			slices.Sort(dirs)
			if err := s.dir.SyncAll(nil, slices.Compact(dirs)); err != nil {
				return gone, trash, err
			}
		}
	}
	slices.SortFunc(gone, largestFirst)
	return gone, trash, nil
}

// update adds the records that came since the inventory was made, or were used since.
func (s *Store) update(ctx context.Context, v *Inventory) error {
	for info, err := range s.dir.List(ctx, blob.Action) {
		if err != nil {
			return err
		}
		if was := v.Records[info.Key.Hash]; was == nil || !was.Since.Equal(info.Put) {
			v.Records[info.Key.Hash] = s.keptRecord(ctx, info.Key)
		}
	}
	return nil
}

// unused reports whether something is as it was when the inventory was made.
func (s *Store) unused(k *Kept) bool {
	fi, err := os.Lstat(s.dir.Path(k.Path))
	return err == nil && (fi.IsDir() || time.Unix(0, disk.StampOf(fi).Ctime).Equal(k.Since))
}

// moveAway moves something to a directory.
func (s *Store) moveAway(k *Kept, to string) error {
	path := s.dir.Path(k.Path)
	s.cache.forget(k.Path)
	return s.dir.Rename(path, filepath.Join(to, strings.ReplaceAll(k.Path, string(filepath.Separator), "-")))
}
