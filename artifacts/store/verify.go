package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// Flaw is something in the store that is not as it must be.
type Flaw struct {
	Kind     Kind // Objects or Records
	Path     string
	Problem  string // "damaged", "missing", "a directory is in its place", …
	Moved    string // where it is in quarantine; "" where there is nothing to move
	NotMoved error  // why it is where it was

	Digest  artifacts.Digest     // of an object
	Actions []artifacts.ActionID // whose results are not whole by it
	Steps   []string             // that made these, as far as their records can be read
}

// Checked is what [Store.Verify] has looked at.
type Checked struct {
	Objects, Records int
	Bytes            int64
}

// Verify reads every object and every record, whatever the stat cache says, and returns
// what is damaged or missing, objects first. What is damaged, and what is in the place of
// something and is no file, is moved into quarantine/, so that it is missing from then on.
// progress, unless nil, is called now and then with what was read so far of all.
func (s *Store) Verify(ctx context.Context, progress func(done, all Checked)) ([]*Flaw, Checked, error) {
	release, err := s.Hold(ctx) // a collection would take objects after their records were listed
	if err != nil {
		return nil, Checked{}, err
	}
	v, err := s.Inventory(ctx)
	release()
	if err != nil {
		return nil, Checked{}, err
	}
	flaws, err := s.strays()
	if err != nil {
		return nil, Checked{}, err
	}
	bad := map[artifacts.Digest]*Flaw{}
	for _, f := range flaws {
		if f.Kind == Objects {
			bad[f.Digest] = f
		}
	}
	damaged, checked, err := s.rehash(ctx, v, progress)
	if err != nil {
		return nil, checked, err
	}
	for _, f := range damaged {
		flaws, bad[f.Digest] = append(flaws, f), f
	}
	for _, id := range sortedKeys(v.Records) {
		r := v.Records[id]
		checked.Records++
		if r.Record == nil {
			flaws = append(flaws, &Flaw{Kind: Records, Path: r.Path, Problem: "damaged", Actions: []artifacts.ActionID{id}})
			continue
		}
		for _, digest := range r.uses {
			f := bad[digest]
			if f == nil && v.Objects[digest] == nil {
				f = &Flaw{Kind: Objects, Path: objectKey(digest).String(), Problem: "missing", Digest: digest}
				flaws, bad[digest] = append(flaws, f), f
			}
			if f != nil && !slices.Contains(f.Actions, id) {
				f.Actions, f.Steps = append(f.Actions, id), append(f.Steps, r.Step)
			}
		}
	}
	for _, k := range v.Other { // where a record lay that was found damaged before, and was not made again
		if id, ok := recordIn(k); ok && v.Records[id] == nil {
			flaws = append(flaws, &Flaw{Kind: Records, Path: actionKey(id).String(), Problem: "missing", Actions: []artifacts.ActionID{id}})
		}
	}
	for _, f := range flaws {
		if f.Problem != "missing" {
			f.Moved, f.NotMoved = s.quarantine(f.Path)
		}
	}
	slices.SortStableFunc(flaws, func(a, b *Flaw) int { return strings.Compare(string(b.Kind)+b.Path, string(a.Kind)+a.Path) })
	return flaws, checked, nil
}

func sortedKeys(m map[artifacts.ActionID]*Kept) []artifacts.ActionID {
	return slices.SortedFunc(maps.Keys(m), func(a, b artifacts.ActionID) int { return strings.Compare(string(a[:]), string(b[:])) })
}

// rehash reads all objects and returns those that are not what their names say.
func (s *Store) rehash(ctx context.Context, v *Inventory, progress func(done, all Checked)) ([]*Flaw, Checked, error) {
	var all, done Checked
	objects := slices.Collect(maps.Values(v.Objects))
	for _, k := range objects {
		all.Objects++
		all.Bytes += k.Size
	}
	trees := map[artifacts.Digest]bool{}
	for _, r := range v.Records {
		if r.Record != nil {
			for _, f := range r.Record.Objects {
				trees[f.Digest] = trees[f.Digest] || f.Tree
			}
		}
	}
	var mu sync.Mutex
	var flaws []*Flaw
	err := tree.Each(ctx, len(objects), func(ctx context.Context, i int) error {
		k := objects[i]
		problem, err := s.examine(ctx, k.Digest, trees[k.Digest])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		done.Objects++
		done.Bytes += k.Size
		if problem != "" {
			flaws = append(flaws, &Flaw{Kind: Objects, Path: k.Path, Problem: problem, Digest: k.Digest})
		}
		if progress != nil {
			progress(done, all)
		}
		return nil
	})
	return flaws, done, err
}

// examine reads an object and says what is wrong with it, if anything.
func (s *Store) examine(ctx context.Context, digest artifacts.Digest, isTree bool) (problem string, err error) {
	path := s.objectPath(digest)
	begin := time.Now()
	got, st, err := disk.Read(ctx, path, nil)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return "", nil // collected meanwhile; whoever needs it says that it is missing
	case err != nil:
		return fmt.Sprintf("cannot be read: %v", err), nil
	case got != digest:
		s.cache.forget(s.key(path))
		return "damaged", nil
	}
	s.cache.learn(s.key(path), st, digest, begin)
	if isTree {
		if _, err := s.manifest(ctx, digest); err != nil {
			return "damaged: " + err.Error(), nil
		}
	}
	return "", nil
}

// strays returns what is no file and has the place of an object or a record.
func (s *Store) strays() ([]*Flaw, error) {
	var flaws []*Flaw
	for _, kind := range []Kind{Objects, Records} {
		_, err := s.eachOf(string(kind), func(shard string) ([]*Kept, error) {
			if fi, err := os.Lstat(s.dir.Path(string(kind), shard)); err == nil && !fi.IsDir() {
				flaws = append(flaws, &Flaw{Kind: kind, Path: filepath.Join(string(kind), shard), Problem: inPlace(fi)})
				return nil, nil
			}
			return s.eachOf(filepath.Join(string(kind), shard), func(name string) ([]*Kept, error) {
				path := filepath.Join(string(kind), shard, name)
				fi, err := os.Lstat(s.dir.Path(path))
				if err != nil || fi.Mode().IsRegular() {
					return nil, nil
				}
				f := &Flaw{Kind: kind, Path: path, Problem: inPlace(fi)}
				if key, err := blob.ParseKey(filepath.ToSlash(path)); err == nil && kind == Objects {
					f.Digest = key.Hash
				} else if err == nil {
					f.Actions = []artifacts.ActionID{key.Hash}
				}
				flaws = append(flaws, f)
				return nil, nil
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return flaws, nil
}

// recordIn returns whose record was put into quarantine.
func recordIn(k *Kept) (id artifacts.ActionID, ok bool) {
	hex, ok := strings.CutPrefix(filepath.Base(k.Path), string(Records)+"-")
	hex, _, _ = strings.Cut(strings.Replace(hex, "-", "", 1), ".")
	return id, ok && k.Kind == Quarantined && id.UnmarshalText([]byte(hex)) == nil
}

// inPlace says what is where a file should be.
func inPlace(fi fs.FileInfo) string {
	what := "something that is no file"
	switch mode := fi.Mode(); {
	case mode.IsRegular():
		what = "a file"
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeSymlink != 0:
		what = "a link"
	case mode&fs.ModeNamedPipe != 0:
		what = "a pipe"
	}
	return what + " is in its place"
}

// quarantine moves what is at a path in the store's directory out of use.
func (s *Store) quarantine(path string) (to string, err error) {
	name := strings.ReplaceAll(path, string(filepath.Separator), "-")
	to = filepath.Join(string(Quarantined), name)
	for n := 2; ; n++ {
		if _, err := os.Lstat(s.dir.Path(to)); err != nil {
			break
		}
		to = filepath.Join(string(Quarantined), fmt.Sprint(name, ".", n))
	}
	if _, err := s.dir.Begin(); err != nil {
		return "", err
	}
	if err := s.dir.Move(s.dir.Path(path), s.dir.Path(to)); err != nil {
		return "", err
	}
	return to, nil
}
