package store

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// platter is what a disk has of a store's directory: it sees each step that the store
// takes, and knows what of it was synced. Everything else is in memory only, and a
// loss of power may keep it, lose it, keep a part of it, and keep what came later
// without what came before.
//
// The model is the weakest that POSIX allows. A file's content lasts once the file was
// synced, as it was when that began; a name lasts once its directory was. A rename is two
// names that change, each for itself.
type platter struct {
	root  string
	mu    sync.Mutex
	now   int                                     // counts what the platter saw
	names map[uint64]map[string][]version[uint64] // by directory and name: which inode, 0 for none
	files map[uint64][]version[file]              // by inode
	safe  map[uint64]int                          // by inode: as of when it is on the disk
	begun map[string][]int                        // by path: when the syncs began that are under way
}

// version is what something was from a time on.
type version[T any] struct {
	since int
	is    T
}

// file is a file's content and what goes with it.
type file struct {
	content string
	mode    fs.FileMode
	frozen  bool
}

const rootInode = 1

func newPlatter(root string) *platter {
	return &platter{root: root, names: map[uint64]map[string][]version[uint64]{}, files: map[uint64][]version[file]{},
		safe: map[uint64]int{}, begun: map[string][]int{}}
}

func inode(fi fs.FileInfo) uint64 { return disk.StampOf(fi).Ino }

// look notes what has changed in the directory.
func (p *platter) look() {
	p.now++
	p.lookIn(p.root, rootInode)
}

func (p *platter) lookIn(path string, dir uint64) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return // gone meanwhile
	}
	if p.names[dir] == nil {
		p.names[dir] = map[string][]version[uint64]{}
	}
	there := map[string]bool{}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			continue
		}
		there[e.Name()] = true
		p.note(dir, e.Name(), inode(fi))
		if at := filepath.Join(path, e.Name()); e.IsDir() {
			p.lookIn(at, inode(fi))
		} else if b, err := os.ReadFile(at); err == nil && e.Type().IsRegular() {
			p.noteFile(inode(fi), file{string(b), fi.Mode().Perm(), fi.ModTime().Equal(disk.FrozenTime)})
		}
	}
	for name := range p.names[dir] {
		if !there[name] {
			p.note(dir, name, 0)
		}
	}
}

func (p *platter) note(dir uint64, name string, is uint64) {
	all := p.names[dir][name]
	if len(all) == 0 || all[len(all)-1].is != is {
		p.names[dir][name] = append(all, version[uint64]{p.now, is})
	}
}

func (p *platter) noteFile(is uint64, f file) {
	all := p.files[is]
	if len(all) == 0 || all[len(all)-1].is != f {
		p.files[is] = append(all, version[file]{p.now, f})
	}
}

// before and after are the hooks of a disk.Dir.
func (p *platter) before(op, path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look()
	if op == "sync" || op == "syncdir" {
		p.begun[path] = append(p.begun[path], p.now)
	}
	return nil
}

func (p *platter) after(op, path string) {
	if op != "sync" && op != "syncdir" {
		return
	}
	began := p.begun[path][0]
	p.begun[path] = p.begun[path][1:]
	is := uint64(rootInode)
	if path != p.root {
		fi, err := os.Lstat(path)
		if err != nil {
			return
		}
		is = inode(fi)
	}
	p.safe[is] = max(p.safe[is], began)
}

// survivors returns the versions that may be found after a loss of power: the one
// that is on the disk, and those that came later.
func survivors[T any](all []version[T], safe int) []T {
	var may []T
	var none T
	if len(all) == 0 || all[0].since > safe {
		may = append(may, none)
	}
	for i, v := range all {
		if i+1 == len(all) || all[i+1].since > safe {
			may = append(may, v.is)
		}
	}
	return may
}

// loss is one way in which the power is lost: it chooses one of n versions, from the
// one on the disk to the last, and may tear a file.
type loss struct {
	choose func(n int) int
	tear   func(content string) string
}

// cut makes the directory to as it may be found after a loss of power.
func (p *platter) cut(t *testing.T, to string, l loss) {
	t.Helper()
	c := &cutting{p, t, l, map[uint64]string{}}
	c.dir(to, rootInode)
	c.restamp(to)
}

type cutting struct {
	*platter
	t *testing.T
	loss
	made map[uint64]string // by inode: where it is
}

func (c *cutting) dir(to string, is uint64) {
	if err := os.Mkdir(to, 0o777); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.names[is])) {
		may := survivors(c.names[is][name], c.safe[is])
		entry, at := may[c.choose(len(may))], filepath.Join(to, name)
		switch {
		case entry == 0:
		case c.files[entry] != nil:
			c.file(at, entry)
		case c.names[entry] != nil:
			if c.made[entry] == "" { // a directory has one name
				c.made[entry] = at
				c.dir(at, entry)
			}
		}
	}
}

func (c *cutting) file(at string, is uint64) {
	if other := c.made[is]; other != "" {
		if err := os.Link(other, at); err != nil {
			c.t.Fatal(err)
		}
		return
	}
	c.made[is] = at
	may := survivors(c.files[is], c.safe[is])
	f := may[c.choose(len(may))]
	if len(may) > 1 {
		f.content = c.tear(f.content)
	}
	if err := os.WriteFile(at, []byte(f.content), 0o666); err != nil {
		c.t.Fatal(err)
	}
	if f.frozen {
		os.Chtimes(at, disk.FrozenTime, disk.FrozenTime)
	}
	os.Chmod(at, f.mode|0o400)
}

// restamp makes the entries of the stat cache, if that is whole, those of the files as
// they are now: a machine that lost its power finds the inodes that it had.
func (c *cutting) restamp(root string) {
	path := filepath.Join(root, "statcache")
	b, _ := disk.ReadFile(path)
	entries := parseStatCache(b, time.Now())
	if len(entries) == 0 {
		return
	}
	for key, e := range entries {
		fi, err := os.Lstat(filepath.Join(root, key))
		if err == nil && c.made[e.Ino] == filepath.Join(root, key) && fi.Size() == e.Size {
			e.Stamp = disk.StampOf(fi)
			entries[key] = e
		}
	}
	if err := os.WriteFile(path, formatStatCache(entries), 0o666); err != nil {
		c.t.Fatal(err)
	}
}

// losses are ways to lose power: with nothing that was not synced, with all of it, and
// with any part of it, in any order.
func losses(r *rand.Rand) []loss {
	whole := func(content string) string { return content }
	torn := func(content string) string {
		b := []byte(content)
		n := r.IntN(len(b) + 1)
		switch r.IntN(4) {
		case 0:
			return content[:n]
		case 1:
			clear(b)
		case 2:
			clear(b[n:])
		}
		return string(b)
	}
	return []loss{
		{func(int) int { return 0 }, func(string) string { return "" }},
		{func(n int) int { return n - 1 }, whole},
		{func(n int) int { return n - 1 }, func(content string) string { return string(make([]byte, len(content))) }},
		{r.IntN, torn},
		{r.IntN, torn},
	}
}

// Wherever the power is lost, what is found is sound: no object has another content than
// its name says, no record is there without its objects, what was said to be recorded is
// found, and the work can be done again. It is lost at every step of three steps that
// commit at the same time, and of one whose objects were there.
func TestPowerLost(t *testing.T) {
	t.Parallel()
	out := inMemory(t)
	root := filepath.Join(out, "store")
	d := openDir(t, root)
	p := newPlatter(d.dir.Path())
	r := rand.New(rand.NewPCG(7, 8))
	recorded := map[int]bool{}
	cuts, points := 0, 0
	d.dir.Fault = p.before
	d.dir.Done = func(op, path string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.look()
		p.after(op, path)
		if points++; testing.Short() && points%5 != 0 {
			return
		}
		for _, l := range losses(r) {
			to := filepath.Join(out, fmt.Sprint(cuts))
			cuts++
			p.cut(t, to, l)
			checkCut(t, to, recorded, cuts%20 == 0)
			os.RemoveAll(to)
			if t.Failed() {
				panic(fmt.Sprintf("after %s %s", op, path))
			}
		}
	}
	done := func(i int) func() {
		return func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			recorded[i] = true
		}
	}
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if err := commit(d, i, done(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d.flush(0)
	if err := commit(d, 0, done(0)); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if cuts < 100 {
		t.Errorf("the power was lost at %d places only", points)
	}
	t.Logf("the power was lost in %d ways at %d places", cuts, points)
}

// inMemory returns a directory, if it can be on a file system in memory: a thousand
// stores are made in it. The platter is the disk.
func inMemory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "eyrie")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// checkCut fails the test if anything is wrong in a store after a loss of power.
func checkCut(t *testing.T, root string, recorded map[int]bool, again bool) {
	t.Helper()
	checkObjects(t, root)
	d := openDir(t, root)
	defer d.Close()
	for i := range 3 {
		id := testRecord(i).Action
		rec, err := d.readRecord(t.Context(), id)
		if err != nil {
			if recorded[i] {
				t.Errorf("action %d was recorded, and is lost: %v", i, err)
			}
			continue
		}
		for _, f := range rec.Objects {
			checkHeld(t, d, f)
		}
		if _, err := d.Lookup(t.Context(), id); err != nil {
			t.Errorf("action %d has a record, and is not found: %v", i, err)
		}
		if again {
			checkCommitted(t, d, i, true)
		}
	}
	if !again {
		return
	}
	for i := range 3 {
		if err := commit(d, i, func() {}); err != nil {
			t.Errorf("action %d cannot be done again: %v", i, err)
		}
		checkCommitted(t, d, i, true)
	}
}

// checkObjects fails the test if an object is not what its name says.
func checkObjects(t *testing.T, root string) {
	t.Helper()
	_ = filepath.WalkDir(filepath.Join(root, "objects"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		if want := filepath.Base(filepath.Dir(path)) + filepath.Base(path); err != nil || artifacts.Sum(b).String() != want {
			t.Errorf("object %s is damaged: %d bytes, %v", want, len(b), err)
		}
		return nil
	})
}

// checkHeld fails the test unless all of an artifact is there, whatever the stat cache says.
func checkHeld(t *testing.T, d *Store, f artifacts.File) {
	t.Helper()
	b, err := os.ReadFile(d.objectPath(f.Digest))
	if err != nil || artifacts.Sum(b) != f.Digest {
		t.Errorf("a record came before its object: %d bytes, %v", len(b), err)
		return
	}
	if !f.Tree {
		return
	}
	m, err := tree.Decode(bytes.Clone(b))
	if err != nil {
		t.Error(err)
	}
	for _, e := range m {
		if e.Kind != tree.EmptyDir {
			checkHeld(t, d, artifacts.File{Digest: e.Digest})
		}
	}
}
