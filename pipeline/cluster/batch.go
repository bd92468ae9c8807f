package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// batch is a batch that was handed in, or is about to be.
type batch struct {
	Batch
	actions []artifacts.ActionID // by element
	ids     []string             // likewise, once it is handed in
	left    int                  // elements that this runner waits for
}

// note is what the file "batch" says.
type note struct {
	Executor string               `json:"executor"`
	Actions  []artifacts.ActionID `json:"actions"` // by element
	Rerun    []bool               `json:"rerun"`   // likewise
}

// errand is what an element performs: the file "3.job".
type errand struct {
	Job      *pipeline.Job `json:"job,omitempty"` // nil for showing that a job can be performed
	Grace    time.Duration `json:"grace"`         // ns, to stop
	Takeover bool          `json:"takeover"`      // another attempt was lost, and may be running still

	Checkpoint *artifacts.File `json:"checkpoint,omitempty"` // to go on from, where nodes have stores of their own
}

// jobsDir is where batches are, in a store.
const jobsDir = "jobs"

func (x *Executor) jobs() string { return filepath.Join(x.Dir, jobsDir) }

// ask returns what a job asks a scheduler for.
func (x *Executor) ask(job *pipeline.Job) Ask {
	r := job.Resources
	ask := Ask{CPUs: whole(r["cpus"]), GPUs: whole(r["gpus"]), Nodes: whole(r["nodes"]), Memory: int64(r["memory"]), Time: x.Time}
	if job.Timeout > 0 { // which the performer keeps: the scheduler's is behind it
		ask.Time = job.Timeout + job.Grace + 2*time.Minute
	}
	return ask
}

// whole rounds up: shares of a processor are for those that share a machine.
func whole(n float64) int { return int(n + 0.999) }

// newBatch makes a batch's directory, with a file for each of some attempts, which ask for the
// same; none for a batch that shows whether a job can be performed.
func (x *Executor) newBatch(ask Ask, attempts []*attempt) (*batch, error) {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	name := "eyrie-" + hex.EncodeToString(random[:])
	b := &batch{Batch: Batch{Name: name, Dir: filepath.Join(x.jobs(), name), Size: max(1, len(attempts)), Ask: ask}, left: len(attempts)}
	if err := os.MkdirAll(b.Dir, 0o777); err != nil {
		return nil, err
	}
	n := note{Executor: x.Name}
	errands := []errand{{}}
	for i, a := range attempts {
		if i > 0 {
			errands = append(errands, errand{})
		}
		n.Actions, n.Rerun = append(n.Actions, a.job.Action), append(n.Rerun, a.job.Rerun)
		errands[i] = errand{Job: a.job, Grace: a.job.Grace, Takeover: a.takeover}
		if x.Carrier != nil {
			errands[i].Job, errands[i].Checkpoint = a.packed, x.checkpoint(a.job)
		}
	}
	var err error
	for i, e := range errands {
		err = errors.Join(err, writeJSON(filepath.Join(b.Dir, strconv.Itoa(i)+".job"), e))
	}
	if err = errors.Join(err, writeJSON(filepath.Join(b.Dir, "batch"), n)); err == nil && x.Carrier == nil {
		err = x.writeScript(b)
	}
	if err == nil {
		b.Locked, err = lock(b.Dir)
	}
	if err != nil {
		_ = os.RemoveAll(b.Dir)
		return nil, fmt.Errorf("preparing jobs for executor %q: %w", x.Name, err)
	}
	return b, nil
}

// writeScript writes what a job of a batch runs, with the number of its element as its argument.
// It is for the user's eyes alone where it has the batch's order.
func (x *Executor) writeScript(b *batch) error {
	program, err := x.program()
	if err != nil {
		return err
	}
	path := filepath.Join(b.Dir, "run")
	if x.Carrier == nil {
		return os.WriteFile(path, []byte(x.script(fmt.Sprintf("%s perform --store %s --job %s/\"$1\"", quote(program), quote(x.Dir), quote(b.Dir)))), 0o777)
	}
	b.Script = x.script(fmt.Sprintf("%s perform --element \"$1\"", quote(program)), "export "+OrderVariable+"="+quote(b.Order))
	return os.WriteFile(path, []byte(b.Script), 0o700)
}

// script returns a script that ends in a command, after what the site has before it and more.
func (x *Executor) script(command string, more ...string) string {
	var s strings.Builder
	s.WriteString("#!/bin/sh\n")
	for _, line := range append(slices.Clone(x.Setup), more...) {
		s.WriteString(line + "\n")
	}
	s.WriteString("exec " + command + "\n")
	return s.String()
}

// quote writes a word for the shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// program returns the path of the runner that nodes start. It is a copy of this one, in the
// store: the nodes need nothing installed, and a job that waits for days is performed by what
// planned it, whatever is built meanwhile.
func (x *Executor) program() (string, error) {
	if x.Program != "" {
		return x.Program, nil
	}
	return copySelf(filepath.Join(x.jobs(), "bin"))
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(path, b)
}

// writeFile writes a file that is there whole or not at all.
func writeFile(path string, b []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o666); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// lock holds a batch while it is being submitted.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// adoptable is a job that a runner before this one has handed in.
type adoptable struct {
	batch   *batch
	element int
	id      string
	rerun   bool
}

// adopt returns the job that performs the same already, if there is one.
func (x *Executor) adopt(ctx context.Context, job *pipeline.Job, want bool) (*adoptable, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.adoptable == nil {
		found, err := x.left(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking for jobs of executor %q: %w", x.Name, err)
		}
		x.adoptable = found
	}
	f, ok := x.adoptable[job.Action]
	if !ok || !want || f.rerun != job.Rerun {
		return nil, nil
	}
	delete(x.adoptable, job.Action)
	return &f, nil
}

// left returns the jobs of this executor that are waiting or running, by the actions that they
// perform, and removes what is left of batches that are over.
func (x *Executor) left(ctx context.Context) (map[artifacts.ActionID]adoptable, error) {
	dirs, err := os.ReadDir(x.jobs())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	all := map[string]adoptable{}
	for _, d := range dirs {
		dir := filepath.Join(x.jobs(), d.Name())
		var n note
		if readJSON(filepath.Join(dir, "batch"), &n) != nil || n.Executor != x.Name || len(n.Actions) == 0 {
			continue
		}
		b := &batch{Batch: Batch{Name: d.Name(), Dir: dir, Size: len(n.Actions)}, actions: n.Actions}
		ids, err := x.idsOf(ctx, b)
		if err != nil {
			return nil, err
		}
		for i, id := range ids {
			if i < len(n.Actions) {
				all[id] = adoptable{batch: b, element: i, id: id, rerun: n.Rerun[i]}
			}
		}
	}
	found := map[artifacts.ActionID]adoptable{}
	if len(all) == 0 {
		return found, nil
	}
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	states, err := x.Scheduler.Status(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if s := states[id].State; s == Pending || s == Running {
			f := all[id]
			f.batch.left++
			found[f.batch.actions[f.element]] = f
		}
	}
	for _, f := range all {
		if f.batch.left == 0 {
			x.forget(f.batch)
		}
	}
	return found, nil
}

// forget removes the files of a batch that nobody waits for, once they are a day old: another
// runner may be reading what its jobs said last.
func (x *Executor) forget(b *batch) {
	if fi, err := os.Stat(b.Dir); err == nil && time.Since(fi.ModTime()) > 24*time.Hour {
		x.remove(b.Dir)
	}
}

// idsOf returns the scheduler's names for a batch's elements. Where the runner died that
// submitted them, the scheduler is asked, once nothing submits them any more.
func (x *Executor) idsOf(ctx context.Context, b *batch) (ids []string, err error) {
	path := filepath.Join(b.Dir, "ids")
	if readJSON(path, &ids) == nil {
		return ids, nil
	}
	for {
		f, err := lock(b.Dir)
		if err == nil {
			f.Close()
			break
		} else if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if readJSON(path, &ids) == nil {
		return ids, nil
	}
	if ids, err = x.Scheduler.Find(ctx, &b.Batch); err != nil || len(ids) == 0 {
		return nil, err
	}
	return ids, writeJSON(path, ids)
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
