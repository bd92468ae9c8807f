package store

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A session is a process's own directory in tmp/, with a lock beside it that
// the process holds while it lives: tmp/NAME and tmp/NAME.lock. What others
// left when they were killed is collected when the next session begins.

func sessionDir(lock *os.File) string { return strings.TrimSuffix(lock.Name(), ".lock") }

// begin makes the store's directory, if needed, and this process's session.
// It returns the session's directory.
func (d *Dir) begin() (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session != nil {
		return sessionDir(d.session), nil
	}
	if err := d.lay(); err != nil {
		return "", err
	}
	if err := d.disk.mkdir(d.path("tmp")); err != nil {
		return "", err
	}
	d.collect()
	var lock *os.File
	for lock == nil { // another process may take a new lock for a dead one's
		var err error
		if lock, err = d.disk.lock(d.path("tmp", rand.Text()+".lock")); err != nil {
			return "", err
		}
	}
	if err := d.disk.mkdir(sessionDir(lock)); err != nil {
		lock.Close()
		return "", err
	}
	d.session = lock
	return sessionDir(lock), nil
}

// collect removes the sessions of dead processes. What cannot be removed now
// is tried again the next time.
func (d *Dir) collect() {
	files, _ := os.ReadDir(d.path("tmp"))
	for _, f := range files {
		lock, err := d.disk.lock(d.path("tmp", strings.TrimSuffix(f.Name(), ".lock")+".lock"))
		if err != nil || lock == nil {
			continue
		}
		if d.disk.remove(sessionDir(lock)) == nil {
			_ = d.disk.unlock(lock)
		} else {
			lock.Close()
		}
	}
}

// temp returns a name in the session that nothing has.
func (d *Dir) temp() (string, error) {
	dir, err := d.begin()
	return filepath.Join(dir, strconv.FormatUint(d.names.Add(1), 36)), err
}

// Temp implements Store.
func (d *Dir) Temp() (string, error) {
	dir, err := d.temp()
	if err != nil {
		return "", err
	}
	return dir, d.disk.try("mkdir", dir, func() error { return os.Mkdir(dir, 0o777) }) // it need not last
}

// isTemp tells whether a path without links is in a directory of Temp, so that
// the store may take possession of the file.
func (d *Dir) isTemp(path string) bool {
	tmp, err := filepath.EvalSymlinks(d.path("tmp"))
	return err == nil && strings.HasPrefix(path, tmp+string(filepath.Separator))
}
