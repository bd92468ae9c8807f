package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"eyrie/artifacts"
)

func (d *Dir) actionPath(id artifacts.ActionID) string { return d.shard("actions", id.String()) }

// Record implements Store.
func (d *Dir) Record(r Record) error {
	b, err := encodeRecord(r)
	if err != nil {
		return err
	}
	for _, f := range r.Objects {
		if _, err := os.Lstat(d.objectPath(f.Digest)); err != nil {
			return fmt.Errorf("record of %s: object %s: %w", r.Step, f.Digest, missing(err))
		}
	}
	if err := d.replace(d.actionPath(r.Action), b, true); err != nil {
		return err
	}
	d.flush(10 * time.Second) // for a process that is killed later
	return nil
}

// Lookup implements Store.
func (d *Dir) Lookup(id artifacts.ActionID) (Record, error) {
	b, err := os.ReadFile(d.actionPath(id))
	if err != nil {
		return Record{}, missing(err)
	}
	r, err := decodeRecord(b, id)
	if err != nil {
		return Record{}, fmt.Errorf("%w: the record of %s is damaged", ErrNotFound, id)
	}
	for _, f := range r.Objects {
		if err := d.check(context.Background(), f); err != nil {
			if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDamaged) {
				return Record{}, err
			}
			return r, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
	}
	return r, nil
}

// last is what a step did last.
type last struct {
	Name   string             `json:"name"`
	Action artifacts.ActionID `json:"action"`
}

// check fails with ErrNotFound or ErrDamaged if not all of f is in the store.
func (d *Dir) check(ctx context.Context, f artifacts.File) error {
	if !f.Tree {
		return d.verify(ctx, f.Digest)
	}
	m, err := readManifest(d.Open, f.Digest)
	if err != nil {
		return err
	}
	return each(ctx, len(m), func(ctx context.Context, i int) error {
		if m[i].kind == 'd' {
			return nil
		}
		return d.verify(ctx, m[i].digest)
	})
}

// printable is a name as JSON can hold it; the file is found by the name itself.
func printable(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

func (d *Dir) lastPath(name string) string {
	return d.shard("last", artifacts.Sum([]byte(name)).String())
}

// SetLast implements Store. It is fast if nothing changes.
func (d *Dir) SetLast(name string, id artifacts.ActionID) error {
	if was, err := d.Last(name); err == nil && was == id {
		return nil
	}
	body, err := json.Marshal(last{printable(name), id})
	if err != nil {
		return err
	}
	return d.replace(d.lastPath(name), seal("last 1", body), false)
}

// Last implements Store.
func (d *Dir) Last(name string) (artifacts.ActionID, error) {
	b, err := os.ReadFile(d.lastPath(name))
	if err != nil {
		return artifacts.ActionID{}, missing(err)
	}
	body, err := unseal("last 1", b)
	if err != nil {
		return artifacts.ActionID{}, ErrNotFound
	}
	var l last
	if json.Unmarshal(body, &l) != nil || l.Name != printable(name) {
		return artifacts.ActionID{}, ErrNotFound
	}
	return l.Action, nil
}

func (d *Dir) checkpointPath(id artifacts.ActionID) string { return d.path("checkpoints", id.String()) }

// Checkpoint implements Store.
func (d *Dir) Checkpoint(id artifacts.ActionID) (string, error) {
	dir := d.checkpointPath(id)
	if _, err := d.begin(); err != nil {
		return "", err
	}
	return dir, d.disk.mkdir(dir)
}

// HasCheckpoint implements Store.
func (d *Dir) HasCheckpoint(id artifacts.ActionID) bool { return hasEntries(d.checkpointPath(id)) }

// hasEntries tells whether there is a directory at path that is not empty.
func hasEntries(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(1)
	return len(names) > 0
}

// DropCheckpoint implements Store. The directory leaves its place at once, so
// that a part of it is never taken for a checkpoint.
func (d *Dir) DropCheckpoint(id artifacts.ActionID) error {
	dir := d.checkpointPath(id)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	tmp, err := d.temp()
	if err != nil {
		return err
	}
	if err := d.disk.rename(dir, tmp); err != nil {
		return err
	}
	return d.disk.remove(tmp)
}

// checkRun fails if the name of a run cannot be a file's.
func checkRun(run string) error {
	if run == "" || filepath.Base(run) != run || run[0] == '.' {
		return fmt.Errorf("run %q cannot be a file's name", run)
	}
	return nil
}

// Journal implements Store.
func (d *Dir) Journal(run string) (io.WriteCloser, error) {
	if err := checkRun(run); err != nil {
		return nil, err
	}
	if _, err := d.begin(); err != nil {
		return nil, err
	}
	if err := d.disk.mkdir(d.path("runs")); err != nil {
		return nil, err
	}
	path := d.path("runs", run+".jsonl")
	var j journal
	err := d.disk.try("create", path, func() (err error) {
		j.File, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	})
	if err != nil {
		return nil, err
	}
	return j, nil
}

// journal is a file that lasts once it is closed.
type journal struct{ *os.File }

// Close syncs the file and closes it.
func (j journal) Close() error { return errors.Join(j.Sync(), j.File.Close()) }
