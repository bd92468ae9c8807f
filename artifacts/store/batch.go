package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// Batch takes what one action made, and commits it with the action's record. A
// disk makes many files last in hardly more time than one, so they wait for it
// together. The order is what a loss of power cannot confuse:
//
//  1. the content of all objects is synced under names in tmp/,
//  2. they are renamed to their places, where they are whole from the beginning,
//  3. the directories of these names are synced,
//  4. the record is written in the same way, and nothing refers to an object before.
//
// A batch that is not committed is closed, and leaves nothing but objects that
// nothing refers to.
type Batch struct {
	store *Store
	moves bool // what lies in a directory of Temp

	mu      sync.Mutex
	staged  []staged
	objects map[artifacts.Digest]bool // all that the batch's artifacts consist of

	dir, realDir string // the directory of the last file, as named and without links
}

// staged is a frozen file that is not yet an object: its content may be in memory
// only.
type staged struct {
	*os.File
	digest artifacts.Digest
	own    bool // it is in tmp/ under a name that only the batch knows
}

// mostStaged is how many files a batch keeps open: a tree of more is stored in parts.
const mostStaged = 64

// Batch returns a batch in which what lies in a directory of Temp is not copied:
// it is moved and must not be used once the batch was committed.
func (s *Store) Batch() *Batch { return s.batch(true) }

func (s *Store) batch(moves bool) *Batch {
	return &Batch{store: s, moves: moves, objects: map[artifacts.Digest]bool{}}
}

// Import takes the file or directory tree at path and returns its handle, without a
// Path, which can be read from the store when the batch was committed.
func (b *Batch) Import(ctx context.Context, path string) (artifacts.File, error) {
	f, err := b.scan(ctx, path)
	if err != nil {
		return artifacts.File{}, fmt.Errorf("import %s: %w", path, err)
	}
	return f, nil
}

func (b *Batch) scan(ctx context.Context, path string) (artifacts.File, error) {
	f, m, err := tree.Scan(ctx, path, disk.IsStore, b.takeFile)
	if err == nil && f.Tree {
		err = b.takeManifest(ctx, f.Digest, m)
	}
	return f, err
}

// Keep makes an artifact that the store holds, or that is behind it, part of the batch, and
// returns it as a record refers to it: a tree that lies outside is part of it with its
// manifest alone. It fails with ErrNotFound or ErrDamaged where the store has neither.
func (b *Batch) Keep(ctx context.Context, f artifacts.File) (artifacts.File, error) {
	object := artifacts.File{Digest: f.Digest, Size: f.Size, Tree: f.Tree}
	if b.refers(ctx, object) {
		object.Outside = true
		b.note(f.Digest)
		return object, nil
	}
	if err := b.store.bring(ctx, object); err != nil {
		return object, err
	}
	b.note(f.Digest)
	if !f.Tree {
		return object, nil
	}
	m, err := b.store.manifest(ctx, f.Digest)
	if err != nil {
		return object, err
	}
	return object, m.EachFile(ctx, func(_ context.Context, e tree.Entry) error { b.note(e.Digest); return nil })
}

// Commit keeps r, whose objects are the batch's or were in the store before, as
// [Store.Record] does.
func (b *Batch) Commit(ctx context.Context, r Record) error {
	encoded, err := EncodeRecord(r)
	if err != nil {
		return err
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	return b.store.put(ctx, r, encoded)
}

// Close gives up what was not committed.
func (b *Batch) Close() { drop(b.take()) }

// flush stores the batch's objects where a record's must be, so that they outlast
// a loss of power.
func (b *Batch) flush(ctx context.Context) error {
	if err := b.store.placeAll(ctx, b.take()); err != nil {
		return err
	}
	objects := slices.Collect(maps.Keys(b.objects))
	dirs := make([]string, len(objects))
	for i, digest := range objects {
		dirs[i] = filepath.Dir(b.store.objectPath(digest))
	}
	return b.store.dir.SyncAll(nil, dirs)
}

func (b *Batch) note(digest artifacts.Digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[digest] = true
}

// stage takes a frozen file, and stores what there is where that is much.
func (b *Batch) stage(ctx context.Context, f staged) error {
	b.mu.Lock()
	b.objects[f.digest] = true
	b.staged = append(b.staged, f)
	full := len(b.staged) >= mostStaged
	b.mu.Unlock()
	if !full {
		return nil
	}
	return b.store.placeAll(ctx, b.take())
}

func (b *Batch) take() []staged {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.staged
	b.staged = nil
	return all
}

// takeFile is a tree.DigestFunc that makes the file part of the batch.
func (b *Batch) takeFile(ctx context.Context, path string, st disk.Stamp) (artifacts.Digest, int64, error) {
	path, err := b.real(path)
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	s := b.store
	key := s.key(path)
	if digest, ok := s.stats(key).lookup(key, st); ok && s.check(ctx, digest) == nil {
		b.note(digest)
		return digest, st.Size, nil
	}
	if b.moves && s.dir.InTemp(path) {
		if digest, size, err := b.moveIn(ctx, path); !errors.Is(err, errShared) {
			return digest, size, err
		}
	}
	return b.copyIn(ctx, path)
}

// real returns the path of the file without links in it. It is asked of many files in
// a directory, and looks at that once.
func (b *Batch) real(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() {
		return filepath.EvalSymlinks(path)
	}
	dir, base := filepath.Split(path)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir != dir {
		if b.realDir, err = filepath.EvalSymlinks(dir); err != nil {
			return "", err
		}
		b.dir = dir
	}
	return filepath.Join(b.realDir, base), nil
}

// copyIn stages a copy of the file.
func (b *Batch) copyIn(ctx context.Context, path string) (artifacts.Digest, int64, error) {
	var digest artifacts.Digest
	var st disk.Stamp
	begin := time.Now()
	f, err := b.create(func(f *os.File) (err error) {
		digest, st, err = disk.Read(ctx, path, f)
		return err
	})
	if err != nil {
		return digest, 0, err
	}
	key := b.store.key(path)
	b.store.stats(key).learn(key, st, digest, begin)
	return digest, st.Size, b.stage(ctx, staged{f, digest, true})
}

// create makes a frozen file in tmp/.
func (b *Batch) create(fill func(*os.File) error) (*os.File, error) {
	tmp, err := b.store.dir.Name()
	if err != nil {
		return nil, err
	}
	f, err := b.store.dir.Make(tmp, disk.Frozen, fill)
	if err == nil {
		disk.StartWriting(f)
	}
	return f, err
}

// errShared reports a file that cannot become an object without a copy.
var errShared = errors.New("the file has other names, or cannot be moved")

// moveIn stages a file that the store may take possession of: it becomes read-only
// now, and moves when the batch is stored.
func (b *Batch) moveIn(ctx context.Context, path string) (artifacts.Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	digest, size, err := b.freeze(ctx, f)
	if err != nil {
		f.Close()
		return digest, 0, err
	}
	return digest, size, b.stage(ctx, staged{f, digest, false})
}

// freeze makes an open file read-only and returns its digest and size.
func (b *Batch) freeze(ctx context.Context, f *os.File) (artifacts.Digest, int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	if sys, ok := fi.Sys().(*syscall.Stat_t); !ok || sys.Nlink != 1 {
		return artifacts.Digest{}, 0, errShared
	}
	if b.store.dir.Freeze(f, fi.Mode().Perm()&^0o222|disk.Frozen) != nil {
		return artifacts.Digest{}, 0, errShared
	}
	disk.StartWriting(f)
	digest, st, err := disk.ReadOpen(ctx, f, nil)
	return digest, st.Size, err
}

// takeManifest makes a manifest, whose digest is given, part of the batch.
func (b *Batch) takeManifest(ctx context.Context, digest artifacts.Digest, m tree.Manifest) error {
	if b.store.check(ctx, digest) == nil {
		b.note(digest)
		return nil
	}
	f, err := b.create(func(f *os.File) error { _, err := f.Write(m.Encode()); return err })
	if err != nil {
		return err
	}
	return b.stage(ctx, staged{f, digest, true})
}

// placeAll makes objects of staged files, once their content is on the disk.
func (s *Store) placeAll(ctx context.Context, all []staged) error {
	defer drop(all)
	files := make([]*os.File, len(all))
	for i := range all {
		files[i] = all[i].File
	}
	if err := s.dir.SyncAll(files, nil); err != nil {
		return err
	}
	for _, f := range all {
		if err := s.placeOne(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// placeOne gives a staged file its place. One that is not the batch's own gets
// a name first that only the batch knows: then it is seen whether it is what was
// digested and synced.
func (s *Store) placeOne(ctx context.Context, f staged) error {
	if f.own {
		return s.place(ctx, f.Name(), f.digest)
	}
	if s.check(ctx, f.digest) == nil { // also where the batch has the file twice
		return nil
	}
	was, err := f.Stat()
	if err != nil {
		return err
	}
	tmp, err := s.dir.Name()
	if err != nil {
		return err
	}
	if err := s.dir.Rename(f.Name(), tmp); err != nil {
		return err
	}
	if now, err := os.Lstat(tmp); err != nil || !os.SameFile(now, was) || !disk.StampOf(now).IsFrozen() {
		return fmt.Errorf("%s %w", f.Name(), disk.ErrChanged)
	}
	return s.place(ctx, tmp, f.digest)
}

// place gives the frozen file at tmp, whose content has that digest, its place
// among the objects, unless it is taken by the same content already. It is the one
// way to there, and the content must be complete on the disk. The name may yet be
// lost with the machine's power.
func (s *Store) place(ctx context.Context, tmp string, digest artifacts.Digest) error {
	defer os.Remove(tmp) // rename leaves it if both are one file already
	if s.check(ctx, digest) == nil {
		return nil
	}
	mine, err := os.Lstat(tmp)
	if err != nil {
		return err
	}
	begin := time.Now()
	path := s.objectPath(digest)
	if err := s.dir.Move(tmp, path); err != nil {
		return err
	}
	if now, err := os.Lstat(path); err == nil && os.SameFile(mine, now) {
		s.cache.learn(s.key(path), disk.StampOf(now), digest, begin)
	}
	return nil
}

// drop closes staged files and removes those of the batch's own that have no place.
func drop(all []staged) {
	for _, f := range all {
		f.Close()
		if f.own {
			os.Remove(f.Name())
		}
	}
}
