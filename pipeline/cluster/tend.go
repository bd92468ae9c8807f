package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// How attempts are gathered that come one after the other, so that they are handed in together.
const (
	quiet    = 150 * time.Millisecond // without another one
	gathered = time.Second            // at most
)

// command is how long one of the scheduler's commands may take.
const command = 2 * time.Minute

// rounds is what tend keeps from one round to the next.
type rounds struct {
	poll     time.Duration // between questions for states
	asked    time.Time     // when the last one was put
	busy     time.Duration // how long to wait with jobs that the scheduler did not take
	retry    time.Time     // when to try again
	most     int           // jobs in a batch, as the scheduler did not take more; 0 for any number
	cancelAt time.Time     // when to try again to cancel jobs
	trouble  trouble       // why the last question was not answered

	doubtful []*batch // that the scheduler may have taken, and did not say so
}

// tend hands jobs in, cancels them and asks for their states, as long as there are any.
func (x *Executor) tend() {
	r := &rounds{asked: time.Now()}
	r.poll = x.firstPoll()
	for {
		x.mu.Lock()
		if len(x.fresh)+len(x.live)+len(x.unwanted) == 0 {
			x.tending = false
			x.mu.Unlock()
			return
		}
		x.mu.Unlock()
		x.cancel(r) // first, as somebody waits for that
		x.submit(r)
		x.question(r)
		select {
		case <-x.wake:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (x *Executor) firstPoll() time.Duration {
	if x.Poll > 0 {
		return x.Poll
	}
	return 10 * time.Second
}

// due returns the attempts that are to be handed in now: those that ask for the same as the
// one that has waited longest.
func (x *Executor) due(r *rounds) (ask Ask, all []*attempt) {
	largest := x.largest(r) // which a scheduler may have to ask for, while nobody else waits
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	if len(x.fresh) == 0 || now.Before(r.retry) ||
		now.Sub(x.fresh[0].since) < gathered && now.Sub(x.fresh[len(x.fresh)-1].since) < quiet {
		return ask, nil
	}
	ask = x.ask(x.fresh[0].job)
	for _, a := range x.fresh {
		if x.ask(a.job) == ask && len(all) < largest {
			all = append(all, a)
			a.handing = true
		}
	}
	return ask, all
}

// largest returns how many jobs a batch may have.
func (x *Executor) largest(r *rounds) int {
	most := cmp.Or(r.most, math.MaxInt)
	if n := x.Scheduler.Traits().Largest; n > 0 {
		most = min(most, n)
	}
	return most
}

// resize takes what became of a batch: if it was not taken, the next one is half as large, since
// one that is larger than a limit on jobs in the queue is refused also when that is empty. One
// that was taken doubles it.
func (r *rounds) resize(size int, err error) {
	switch {
	case errors.Is(err, ErrBusy):
		r.most = max(1, size/2)
	case r.most > math.MaxInt/2:
		r.most = 0
	default:
		r.most *= 2
	}
}

// submit hands in what is due.
func (x *Executor) submit(r *rounds) {
	ask, all := x.due(r)
	if len(all) == 0 {
		return
	}
	var b *batch
	err := x.settle(r)
	if err == nil {
		b, err = x.newBatch(ask, all)
	}
	if err == nil {
		err = x.handIn(r, b, len(all) > 1)
		r.resize(len(all), err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	busy := errors.Is(err, ErrBusy)
	if busy {
		x.wait(r, err)
	} else {
		r.busy, r.retry = 0, time.Time{}
	}
	for i, a := range all {
		a.handing = false
		switch {
		case b != nil && b.took(i):
			x.taken(a, b, i)
		case busy && !a.dropped:
			continue // it is handed in again
		case !busy:
			a.err = fmt.Errorf("executor %q: %w", x.Name, err)
			a.place(nil, 0, "")
		}
		x.fresh = slices.DeleteFunc(x.fresh, func(f *attempt) bool { return f == a })
	}
}

// wait has the executor hand nothing in for a while. The caller holds mu.
func (x *Executor) wait(r *rounds, why error) {
	r.busy = min(max(2*r.busy, 2*time.Second), time.Minute)
	if r.retry.IsZero() {
		x.tell("%v; trying again", why)
	}
	r.retry = time.Now().Add(r.busy)
}

// taken notes that the scheduler has taken an attempt. The caller holds mu.
func (x *Executor) taken(a *attempt, b *batch, element int) {
	a.place(b, element, b.ids[element])
	if a.detached { // its runner goes on without it
		return
	}
	x.live[a] = true
	if a.dropped {
		x.unwanted = append(x.unwanted, a)
	}
}

// settle finds out whether batches are in the queue all the same that the scheduler was too
// busy to confirm. Their steps are handed in anew, so that those jobs are not wanted.
func (x *Executor) settle(r *rounds) error {
	ctx, cancel := context.WithTimeout(context.Background(), command)
	defer cancel()
	for len(r.doubtful) > 0 {
		b := r.doubtful[0]
		ids, err := x.Scheduler.Find(ctx, &b.Batch)
		if ids = named(ids); err == nil && len(ids) > 0 {
			err = x.Scheduler.Cancel(ctx, ids)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		x.remove(b)
		r.doubtful = r.doubtful[1:]
	}
	return nil
}

// named returns the names of elements that were taken.
func named(ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
}

// handIn submits a batch, and writes down its names: all of them, or with ErrBusy those of what
// the scheduler took. A batch of several elements is held back until a job has shown that a
// node can perform any: a node without the store fails hundreds as fast as one.
func (x *Executor) handIn(r *rounds, b *batch, many bool) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), command)
	defer cancel()
	defer func() {
		b.Locked.Close()
		if taken := named(b.ids); len(taken) > 0 {
			b.left = len(taken)
		} else if err != nil && !slices.Contains(r.doubtful, b) {
			x.remove(b)
		}
	}()
	if err := x.send(ctx, b); err != nil {
		return err
	}
	if many && x.Scheduler.Traits().After {
		if b.After, err = x.prove(ctx); err != nil {
			return err
		}
	}
	known, err := x.offer(ctx, b)
	if !known {
		r.doubtful = append(r.doubtful, b)
	}
	taken := named(b.ids)
	if len(taken) == 0 {
		return err
	}
	x.tell("%s", handed(x.Scheduler.Traits().Name, taken))
	if err := writeJSON(filepath.Join(b.Dir, "ids"), b.ids); err != nil { // the jobs are in the queue all the same
		x.tell("the next run may not find these jobs, should this one be killed: %v", err)
	}
	return err
}

// offer has the scheduler take a batch. Where that fails, it is asked whether it has taken it all
// the same, whatever the error is: what submits may be killed, or say what nobody understands,
// after that. Where it does not say, known is false, and the error is [ErrBusy].
func (x *Executor) offer(ctx context.Context, b *batch) (known bool, err error) {
	b.ids, err = x.Scheduler.Submit(ctx, &b.Batch)
	if err == nil || len(named(b.ids)) > 0 {
		return true, err
	}
	ids, e := x.Scheduler.Find(ctx, &b.Batch)
	switch {
	case e == nil && len(named(ids)) == b.Size:
		b.ids, err = ids, nil
	case e == nil:
		b.ids = ids
	case errors.Is(err, ErrBusy):
		return false, err
	case errors.Is(e, ErrBusy):
		return false, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return true, err
}

// handed words which jobs were handed in: "3 in the queue: Slurm job 7_0 to 7_2".
func handed(job string, ids []string) string {
	if len(ids) == 1 {
		return fmt.Sprintf("%s %s is in the queue", job, ids[0])
	}
	return fmt.Sprintf("%d steps are in the queue: %s %s to %s", len(ids), job, ids[0], ids[len(ids)-1])
}

// cancel ends the jobs that nobody wants any more, later where the scheduler does not serve now.
func (x *Executor) cancel(r *rounds) {
	if time.Now().Before(r.cancelAt) {
		return
	}
	x.mu.Lock()
	unwanted := x.unwanted
	ids := make([]string, len(unwanted))
	for i, a := range unwanted {
		ids[i] = a.id
		a.mark()
	}
	x.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), command)
	defer stop()
	err := x.Scheduler.Cancel(ctx, ids)
	if errors.Is(err, ErrBusy) {
		if r.cancelAt.IsZero() {
			x.tell("jobs are not cancelled yet: %v; trying again", err)
		}
		r.cancelAt = time.Now().Add(2 * time.Second)
		return
	} else if err != nil {
		x.tell("jobs could not be cancelled: %v", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, a := range unwanted {
		a.calledOff = true
	}
	x.unwanted = x.unwanted[len(unwanted):] // others have come behind them
	r.cancelAt = time.Time{}
	r.poll = min(r.poll, time.Second) // somebody waits for their end
}

// drop keeps an attempt from being handed in, or has its job cancelled unless it is to be left
// to itself. The caller holds mu.
func (x *Executor) drop(a *attempt) {
	x.rouse()
	if a.dropped = a.handing; a.dropped {
		return // which what hands it in sees to
	}
	if a.batch != nil && !a.detached {
		x.unwanted = append(x.unwanted, a)
	}
	x.fresh = slices.DeleteFunc(x.fresh, func(b *attempt) bool { return a == b })
}

// mark tells other runs that wait for the job as well that this one has it cancelled. The
// caller holds the executor's mu.
func (a *attempt) mark() {
	a.cancelled = true
	_ = os.WriteFile(cancelMark(a.batch.Dir, a.element), nil, 0o666) // without it, their steps fail
}

func cancelMark(dir string, element int) string {
	return filepath.Join(dir, strconv.Itoa(element)+".cancelled")
}

// marked reports whether this run has the job cancelled.
func (x *Executor) marked(a *attempt) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return a.cancelled
}

// question asks the scheduler for the states of all jobs, if it is time to: less and less often
// while nothing changes.
func (x *Executor) question(r *rounds) {
	x.mu.Lock()
	live := slices.Collect(maps.Keys(x.live))
	x.mu.Unlock()
	if len(live) == 0 || time.Since(r.asked) < r.poll {
		return
	}
	ids := make([]string, len(live))
	for i, a := range live {
		ids[i] = a.id
	}
	slices.Sort(ids)
	ctx, cancel := context.WithTimeout(context.Background(), command)
	defer cancel()
	states, err := x.Scheduler.Status(ctx, ids)
	r.asked = time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		if t := troubleOf(err); t != r.trouble { // of another kind: that it is away, and then that it refuses
			x.tell("it does not say how its jobs are: %v; asking again", err)
			r.trouble = t
		}
		r.poll = min(2*r.poll, time.Minute)
		return
	}
	r.trouble = none
	changed := false
	for _, a := range live {
		changed = a.learn(states[a.id]) || changed
	}
	if r.poll = min(2*r.poll, max(time.Minute, x.firstPoll())); changed {
		r.poll = x.firstPoll()
	}
}

// trouble is why a scheduler does not answer.
type trouble int

const (
	none    trouble = iota
	passing         // it may answer by itself
	lasting         // somebody must do something
)

func troubleOf(err error) trouble {
	switch {
	case err == nil:
		return none
	case errors.Is(err, ErrBusy):
		return passing
	}
	return lasting
}

// learn takes what the scheduler says, and reports whether that is news. The caller holds the
// executor's mu.
func (a *attempt) learn(s Status) bool {
	if s.State == Unknown {
		a.missed++
	} else {
		a.missed = 0
	}
	news := s.State != a.status.State || s.State == Unknown
	if s.State != Unknown {
		a.back = a.status.State == Running && s.State == Pending
		a.status = s
	}
	if news {
		select {
		case a.changed <- struct{}{}:
		default:
		}
	}
	return news
}
