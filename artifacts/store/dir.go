package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"eyrie/artifacts"
)

// Dir is a store in a directory:
//
//	format              which layout this is
//	objects/ab/cdef…    an object, by its digest; read-only
//	trees/ab/cdef…/     a tree laid out from its objects, by its manifest's digest
//	actions/ab/cdef…    a record, by its action's id; JSON
//	last/               what each step did last
//	locks/              the locks that are held
//	checkpoints/        a directory for each action that is unfinished
//	runs/               the journal of each run; JSON lines
//	tmp/                what is being made, a directory for each process
//	statcache           what spares rehashing
//
// Every file is made complete in tmp, synced to the disk, and then renamed to
// its place; an action's record comes after its objects. So a process may be
// killed, and the machine lose power, at any moment: what is there is whole,
// and what is damaged all the same is found out by its digest and counts as
// missing. Nothing needs to be repaired by hand, and any file may be removed
// while no run is in progress.
//
// Locks are flock's. On NFS they work between machines if the server's lock
// service does, and a machine may see another's results late; what it sees is
// verified there, too.
//
// A directory that does not exist is made by the first method that writes.
type Dir struct {
	root  string
	disk  disk
	cache statCache
	locks keyed // of actions
	trees keyed // of trees that are laid out

	mu      sync.Mutex
	session *os.File // holds the lock of this process's directory in tmp; nil until something is written
	names   atomic.Uint64
}

var _ Store = (*Dir)(nil)

// layout is the number of the layout that Dir describes.
const layout = 1

// OpenDir opens the store at path, which need not exist yet. It fails if path
// is something else, or a store that a newer version of this program made.
func OpenDir(path string) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	d := &Dir{root: root, cache: statCache{path: filepath.Join(root, "statcache")}}
	if err := d.checkLayout(); err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	return d, nil
}

// Close writes the stat cache and removes the directories of Temp. A stat
// cache that cannot be written costs time in the next run and is no error. If
// nothing else was written, so that there may be no store yet, one is made for
// the stat cache only where it spares much reading.
func (d *Dir) Close() error {
	d.flush(0)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return nil
	}
	err := d.disk.remove(sessionDir(d.session))
	err = errors.Join(err, d.disk.unlock(d.session))
	d.session = nil
	return err
}

// worthStore is how much reading a stat cache must spare for a store to be made
// for it alone, in bytes: a quarter of a second's.
const worthStore = 512 << 20

// flush writes the stat cache if there is something new, but not again within
// interval.
func (d *Dir) flush(interval time.Duration) {
	if _, err := os.Stat(d.root); err != nil && d.cache.spares() < worthStore {
		return
	}
	if b := d.cache.flush(interval); b != nil {
		_ = d.replace(d.cache.path, b, false)
	}
}

// formatFile is the content of the file "format".
func formatFile(layout int) []byte { return seal("format", []byte(strconv.Itoa(layout))) }

// checkLayout fails if the directory is there and not a store, or one of a
// layout that this program does not know.
func (d *Dir) checkLayout() error {
	names, err := os.ReadDir(d.root)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return nil
	} else if errors.Is(err, syscall.ENOTDIR) {
		return errors.New("this is not a directory; name another one with --store")
	} else if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(d.root, "format"))
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("this directory is not a store, and not empty; name another one with --store")
	} else if err != nil {
		return err
	}
	body, err := unseal("format", b)
	if err != nil {
		return nil // damaged: made anew by the first write
	}
	if n, err := strconv.Atoi(string(body)); err != nil || n > layout {
		return fmt.Errorf("its format is %s and this program knows up to %d: use a newer version of it, or another store", body, layout)
	}
	return nil
}

// lay makes the directory a store. Its first file says so, for a process that
// is killed in between.
func (d *Dir) lay() error {
	if err := d.disk.mkdir(d.root); err != nil {
		return err
	}
	changed := false
	files := []struct{ name, content string }{
		{"format", string(formatFile(layout))},
		{".gitignore", "*\n"},
		{"CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# This directory holds results that can be made again.\n"},
	}
	for _, f := range files {
		path := filepath.Join(d.root, f.name)
		if b, err := os.ReadFile(path); err == nil && bytes.Equal(b, []byte(f.content)) {
			continue
		}
		err := d.disk.try("create", path, func() error { return os.WriteFile(path, []byte(f.content), 0o666) })
		if err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return d.disk.syncDir(d.root)
}

// path returns the path of a named thing in the store.
func (d *Dir) path(elem ...string) string {
	return filepath.Join(append([]string{d.root}, elem...)...)
}

// shard returns the path of a thing named by a hash, in one of 256 directories.
func (d *Dir) shard(kind, hex string) string { return d.path(kind, hex[:2], hex[2:]) }

func (d *Dir) objectPath(id artifacts.Digest) string { return d.shard("objects", id.String()) }

// replace gives the file at path the content b, at once. Durable says that it
// must outlast a loss of power.
func (d *Dir) replace(path string, b []byte, durable bool) error {
	tmp, err := d.temp()
	if err != nil {
		return err
	}
	write := func(f *os.File) error { _, err := f.Write(b); return err }
	if err := d.disk.create(tmp, writable, durable, write); err != nil {
		return err
	}
	if durable {
		return d.disk.publish(tmp, path)
	}
	return d.disk.move(tmp, path)
}
