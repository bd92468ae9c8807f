package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// batch is a batch that was handed in, or is about to be.
type batch struct {
	Batch
	actions []artifacts.ActionID // by element
	rerun   []bool               // likewise
	ids     []string             // likewise, once it is handed in
	left    int                  // elements that this runner waits for
	held    *os.File             // as long as this runner needs the files; nil for not
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
	ask := Asks(job.Resources, x.Time)
	if job.Timeout > 0 { // which the performer keeps: the scheduler's is behind it, and so is the signal, which Slurm sends up to a minute early
		ask.Time = job.Timeout + job.Grace + 3*time.Minute
	}
	return ask
}

// Asks returns what resources, as steps write them, are to a scheduler.
func Asks(r map[string]float64, time time.Duration) Ask {
	return Ask{CPUs: whole(r["cpus"]), GPUs: whole(r["gpus"]), Nodes: whole(r["nodes"]), Memory: int64(r["memory"]), Time: time}
}

// whole rounds up: shares of a processor are for those that share a machine.
func whole(n float64) int { return int(math.Ceil(n)) }

// newBatch makes a batch's directory, with a file for each of some attempts, which ask for the
// same; none for a batch that shows whether a job can be performed.
func (x *Executor) newBatch(ask Ask, attempts []*attempt) (*batch, error) {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	name := "eyrie-" + hex.EncodeToString(random[:])
	b := &batch{Batch: Batch{Name: name, Dir: filepath.Join(x.jobs(), name), Size: max(1, len(attempts)), Ask: ask}, left: len(attempts)}
	if err := x.fill(b, attempts); err != nil {
		if b.Locked != nil {
			b.Locked.Close()
		}
		b.remove(func() {}) // nothing is elsewhere yet
		return nil, fmt.Errorf("preparing jobs: %w", err)
	}
	return b, nil
}

// fill writes a batch's files. It is locked before the file by which other runners know it, so
// that they find it either not at all or being submitted.
func (x *Executor) fill(b *batch, attempts []*attempt) (err error) {
	if err := os.MkdirAll(b.Dir, 0o777); err != nil {
		return err
	}
	if b.Locked, err = lock(b.Dir); err != nil {
		return err
	}
	n := note{Executor: x.Name}
	errands := make([]errand, b.Size)
	for i, a := range attempts {
		n.Actions, n.Rerun = append(n.Actions, a.job.Action), append(n.Rerun, a.job.Rerun)
		errands[i] = errand{Job: a.job, Grace: a.job.Grace, Takeover: a.takeover}
		if x.Carrier != nil {
			errands[i].Job, errands[i].Checkpoint = a.packed, x.checkpoint(a.job)
		}
	}
	for i, e := range errands {
		if err := writeJSON(filepath.Join(b.Dir, strconv.Itoa(i)+".job"), e); err != nil {
			return err
		}
	}
	if x.Carrier == nil {
		if err := x.writeScript(b); err != nil {
			return err
		}
	}
	if err := writeJSON(filepath.Join(b.Dir, "batch"), n); err != nil {
		return err
	}
	b.hold()
	return nil
}

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

// hold keeps other runners from removing the batch's files.
func (b *batch) hold() {
	f, err := os.OpenFile(filepath.Join(b.Dir, "batch"), os.O_RDWR, 0)
	if err != nil {
		return
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil {
		f.Close() // it is being removed, or the file system has no locks
		return
	}
	b.held = f
}

// took reports whether the scheduler has taken an element.
func (b *batch) took(element int) bool { return element < len(b.ids) && b.ids[element] != "" }

// alone reports whether no other runner waits for what the batch's jobs say, and keeps any
// from doing so from then on.
func (b *batch) alone() bool {
	if b.held == nil {
		return true
	}
	return !errors.Is(syscall.Flock(int(b.held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// remove removes the batch's files from the store, unless another runner needs them, which
// will then remove them. Elsewhere they are gone by then.
func (b *batch) remove(elsewhere func()) {
	if b.held != nil {
		defer b.held.Close()
	}
	if b.alone() {
		elsewhere()
		_ = os.RemoveAll(b.Dir)
	}
}

// adoptable is a job that a runner before this one has handed in.
type adoptable struct {
	batch   *batch
	element int
	id      string
	rerun   bool
}

// found is what a runner finds that others have left.
type found struct {
	done chan struct{} // closed when the scheduler has answered
	jobs map[artifacts.ActionID]adoptable
	err  error
}

// adopt returns the job that performs the same already, if there is one.
func (x *Executor) adopt(ctx context.Context, job *pipeline.Job, want bool) (*adoptable, error) {
	x.mu.Lock()
	all := x.found
	if all == nil {
		all = &found{done: make(chan struct{})}
		x.found = all
		go func() {
			defer close(all.done)
			all.jobs, all.err = x.leftUntil(ctx)
		}()
	}
	x.mu.Unlock()
	select {
	case <-all.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if all.err != nil {
		return nil, fmt.Errorf("looking for jobs of executor %q: %w", x.Name, all.err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	f, ok := all.jobs[job.Action]
	if !ok || !want || f.rerun != job.Rerun {
		return nil, nil
	}
	delete(all.jobs, job.Action)
	return &f, nil
}

// leftUntil returns what left does, once the scheduler answers: to hand in what it may have
// already would take places for nothing.
func (x *Executor) leftUntil(ctx context.Context) (map[artifacts.ActionID]adoptable, error) {
	for wait := time.Duration(0); ; {
		all, err := x.left(ctx)
		if !errors.Is(err, ErrBusy) {
			return all, err
		}
		if wait == 0 {
			x.tell("it does not say which jobs there are: %v; asking again", err)
		}
		wait = min(max(2*wait, 2*time.Second), 30*time.Second)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// left returns the jobs of this executor that are waiting or running, by the actions that they
// perform, and removes what is left of batches that are over.
func (x *Executor) left(ctx context.Context) (map[artifacts.ActionID]adoptable, error) {
	batches, err := x.batches()
	if err != nil {
		return nil, err
	}
	all := map[string]adoptable{}
	for _, b := range batches {
		ids, err := x.idsOf(ctx, b)
		if err != nil {
			return nil, err
		}
		for i, id := range ids {
			if id != "" && i < len(b.actions) {
				all[id] = adoptable{batch: b, element: i, id: id, rerun: b.rerun[i]}
			}
		}
	}
	found, err := x.living(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, b := range batches {
		if b.left == 0 {
			x.recall(ctx, b)
			x.forget(b)
		} else {
			b.hold()
		}
	}
	return found, nil
}

// batches returns those of this executor that have files in the store, the oldest first.
func (x *Executor) batches() (all []*batch, err error) {
	dirs, err := os.ReadDir(x.jobs())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range dirs {
		dir := filepath.Join(x.jobs(), d.Name())
		var n note
		if readJSON(filepath.Join(dir, "batch"), &n) == nil && n.Executor == x.Name && len(n.Rerun) == len(n.Actions) {
			all = append(all, &batch{Batch: Batch{Name: d.Name(), Dir: dir, Size: len(n.Actions)}, actions: n.Actions, rerun: n.Rerun})
		}
	}
	slices.SortStableFunc(all, func(a, b *batch) int { return a.made().Compare(b.made()) })
	return all, nil
}

// made returns when a batch was made.
func (b *batch) made() time.Time {
	fi, err := os.Stat(filepath.Join(b.Dir, "batch"))
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

// living returns the jobs that wait or run, by their actions, and counts them for their batches.
func (x *Executor) living(ctx context.Context, all map[string]adoptable) (map[artifacts.ActionID]adoptable, error) {
	found := map[artifacts.ActionID]adoptable{}
	if len(all) == 0 {
		return found, nil
	}
	ids := slices.Sorted(maps.Keys(all))
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
	return found, nil
}

// forget removes the files of a batch that nobody waits for, once they are a day old: another
// runner may be reading what its jobs said last. Of a job that tries a node nobody has written
// down its name; it may wait in the queue, and others with it, for longer.
func (x *Executor) forget(b *batch) {
	age := 24 * time.Hour
	if len(b.actions) == 0 {
		age *= 30
	}
	if fi, err := os.Stat(b.Dir); err == nil && time.Since(fi.ModTime()) > age {
		x.remove(b)
	}
}

// idsOf returns the scheduler's names for a batch's elements. Where the runner died that
// submitted them, the scheduler is asked, once nothing submits them any more.
func (x *Executor) idsOf(ctx context.Context, b *batch) (ids []string, err error) {
	path := filepath.Join(b.Dir, "ids")
	if len(b.actions) == 0 {
		return nil, nil // it tried a node
	}
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
