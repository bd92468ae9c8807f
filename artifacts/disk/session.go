package disk

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A session is a process's own directory in tmp/, with a lock beside it that
// the process holds while it lives: tmp/NAME and tmp/NAME.lock. What others
// left when they were killed is collected when the next session begins.

func sessionDir(lock *os.File) string { return strings.TrimSuffix(lock.Name(), ".lock") }

// Begin makes the directory, if needed, and this process's session in it, whose
// directory it returns. Whatever needs the session begins it.
func (d *Dir) Begin() (dir string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session != nil {
		return sessionDir(d.session), nil
	}
	if err := d.lay(); err != nil {
		return "", err
	}
	if err := d.Mkdir(d.Path("tmp")); err != nil {
		return "", err
	}
	d.collect()
	var lock *os.File
	for lock == nil { // another process may take a new lock for a dead one's
		if lock, err = d.Lock(d.Path("tmp", rand.Text()+".lock")); err != nil {
			return "", err
		}
	}
	if err := d.Mkdir(sessionDir(lock)); err != nil {
		lock.Close()
		return "", err
	}
	if d.temp, err = filepath.EvalSymlinks(d.Path("tmp")); err != nil {
		lock.Close()
		return "", err
	}
	d.session = lock
	return sessionDir(lock), nil
}

// collect removes the sessions of dead processes. What cannot be removed now
// is tried again the next time.
func (d *Dir) collect() {
	d.collectIn("tmp", func(name string) string {
		if name = strings.TrimSuffix(name, ".lock"); len(name) != len(rand.Text()) {
			return "" // not a session: is tmp a link to where other things lie?
		}
		return name + ".lock"
	}, func(lock *os.File) error { return d.Remove(sessionDir(lock)) })
	d.collectIn("locks", func(name string) string {
		if len(name) != hex.EncodedLen(sha256.Size) {
			return ""
		}
		return name
	}, func(*os.File) error { return nil })
}

// collectIn removes the locks in a directory that nobody holds, each after what it was
// of. The lock that goes with a name there is what lockOf says, "" for none.
func (d *Dir) collectIn(dir string, lockOf func(name string) string, remove func(lock *os.File) error) {
	files, _ := ReadDir(d.Path(dir))
	for _, f := range files {
		name := lockOf(f.Name())
		if name == "" {
			continue
		}
		lock, err := d.Lock(d.Path(dir, name))
		if err != nil || lock == nil {
			continue
		}
		if remove(lock) == nil {
			_ = d.Unlock(lock)
		} else {
			lock.Close()
		}
	}
}

// Name returns a path in the session that nothing has.
func (d *Dir) Name() (string, error) {
	dir, err := d.Begin()
	return filepath.Join(dir, strconv.FormatUint(d.names.Add(1), 36)), err
}

// Temp returns a new empty directory on the same file system. The caller discards
// it; what a killed process left is collected later.
func (d *Dir) Temp() (string, error) {
	dir, err := d.Name()
	if err != nil {
		return "", err
	}
	if used := d.take(); used != "" {
		return used, nil
	}
	return dir, d.Try("mkdir", dir, func() error { return os.Mkdir(dir, 0o777) }) // it need not last
}

// mostUsed is how many directories of Temp are kept for another use.
const mostUsed = 64

// Discard removes a directory of Temp. An empty one is kept, to be a new one under
// another name: on ext4 each directory that is removed makes the files slower that
// are made in the next seconds, as the search for a free inode passes over all that
// were just freed. With thousands of steps that was a third of all the time.
func (d *Dir) Discard(dir string) {
	other, err := d.Name()
	if err == nil && d.Rename(dir, other) == nil {
		dir = other // which whoever still writes to it does not find
	}
	if names, err := ReadDir(dir); err != nil || len(names) > 0 || dir != other || !d.keep(dir) {
		_ = d.Remove(dir)
	}
}

// keep keeps a directory for take, unless there are many.
func (d *Dir) keep(dir string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil || len(d.used) == mostUsed {
		return false
	}
	d.used = append(d.used, dir)
	return true
}

// take returns an empty directory that was discarded, or "".
func (d *Dir) take() (dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.used); n > 0 {
		dir, d.used = d.used[n-1], d.used[:n-1]
	}
	return dir
}

// InTemp reports whether a path without links is in a directory of Temp, so that
// the file may be moved elsewhere.
func (d *Dir) InTemp(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.temp != "" && strings.HasPrefix(path, d.temp+string(filepath.Separator))
}
