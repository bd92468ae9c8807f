// Package store keeps what a pipeline made: immutable content named by its
// digest, and for each action the record of what it produced.
//
// A [Store] stands on a directory of this machine's. What others have made may lie
// [Behind] it. What is read from either is verified by its digest, so a wrong result is never
// found, whichever program wrote it: what is damaged counts as missing.
package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/disk"
)

// ErrNotFound reports an object or a record that the store does not hold.
// A record whose objects are missing or damaged is not found, too: it is a
// miss, not a failure.
var ErrNotFound = errors.New("not in the store")

// ErrDamaged reports an object whose content does not match its digest.
var ErrDamaged = errors.New("content does not match its digest")

// Store keeps objects by digest and records by action. Its methods may be
// called by many goroutines and many processes at once; readers take no lock.
//
// In its directory there is, beside what [disk.Dir] says:
//
//	trees/ab/cdef…/     a tree laid out from its objects, by its manifest's digest
//	outside/ab/cdef…    where a tree lies whose files are not in the store
//	last/               what each step did last
//	locks/              the locks that are held
//	checkpoints/        a directory for each action that is unfinished
//	runs/               the journal of each run; JSON lines
//	outputs/            what was published for people
//	pins/               runs whose results stay
//	quarantine/         what Verify found damaged
//	jobs/               what executors hand to other machines: see pipeline/cluster
//	statcache           what spares rehashing, and statcache.outside of files elsewhere
//
// An action's record comes after its objects, and any file may be removed while
// no run is in progress; [Store.Collect] does it beside runs. A store that is only read makes nothing.
//
// Locks are flock's. On NFS they work between machines if the server's lock
// service does, and a machine may see another's results late; what it sees is
// verified there, too.
type Store struct {
	dir    *disk.Dir
	behind Behind    // nil for nothing
	root   int       // the length of dir's path, with the separator
	cache  statCache // of the store's own files
	outer  statCache // of all others: a data set may have a million, whose cache is read where it is needed alone
	locks  keyed     // of actions
	trees  keyed     // of trees that are laid out
	pulls  keyed     // of objects that are fetched

	arrived arrivals
}

// Open opens the store in the directory at path, which need not exist yet. It
// fails if path is something else, or a store that a newer version of this
// program made.
func Open(path string) (*Store, error) {
	dir, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	return &Store{dir: dir, root: len(dir.Path()) + 1, cache: statCache{path: dir.Path("statcache")}, outer: statCache{path: dir.Path("statcache.outside")}}, nil
}

// Close writes the stat cache and removes the directories of Temp. A stat
// cache that cannot be written costs time in the next run and is no error. If
// nothing else was written, so that there may be no store yet, one is made for
// the stat cache only where it spares much reading.
func (s *Store) Close() error {
	s.flush(0)
	return s.dir.Close()
}

// worthStore is how much reading a stat cache must spare for a store to be made
// for it alone, in bytes: a quarter of a second's.
const worthStore = 512 << 20

// flush writes the stat cache if there is something new, but not again within
// interval.
func (s *Store) flush(interval time.Duration) {
	if _, err := os.Stat(s.dir.Path()); err != nil && s.cache.spares()+s.outer.spares() < worthStore {
		return
	}
	for _, c := range []*statCache{&s.cache, &s.outer} {
		if b := c.flush(interval); b != nil {
			_ = s.dir.Replace(c.path, b, false)
		}
	}
}

// stats returns the stat cache that a file is in, by its name there.
func (s *Store) stats(key string) *statCache {
	if filepath.IsAbs(key) {
		return &s.outer
	}
	return &s.cache
}

func objectKey(d artifacts.Digest) blob.Key    { return blob.Key{Kind: blob.Object, Hash: d} }
func actionKey(id artifacts.ActionID) blob.Key { return blob.Key{Kind: blob.Action, Hash: id} }

// objectPath returns where this machine has the object, or would have it.
func (s *Store) objectPath(d artifacts.Digest) string { return s.dir.File(objectKey(d)) }

// within returns the name in the stat cache of a file whose path the store has made.
func (s *Store) within(path string) string { return path[s.root:] }

// shard returns the path of a thing named by a hash, in one of 256 directories.
func (s *Store) shard(kind, hex string) string { return s.dir.Path(kind, hex[:2], hex[2:]) }

// key returns the name of a file in the stat cache: of what is in the store
// the path from there, so that the store may be moved, else the absolute path.
func (s *Store) key(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	if in, ok := strings.CutPrefix(path, s.dir.Path()+string(filepath.Separator)); ok {
		return in
	}
	return path
}

// entries returns what is in one of the store's directories, sorted by name: nothing
// where it is not there, or something else is.
func (s *Store) entries(dir string) ([]fs.DirEntry, error) {
	all, err := disk.ReadDir(s.dir.Path(dir))
	if err = missing(err); errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return all, err
}

// missing turns the error of a blob that is not there, or that is something
// else, or that the disk cannot read, into ErrNotFound.
func missing(err error) error {
	for _, is := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.EIO} {
		if errors.Is(err, is) {
			return ErrNotFound
		}
	}
	return err
}
