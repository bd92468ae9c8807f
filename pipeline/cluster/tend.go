package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
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
	poll    time.Duration // between questions for states
	asked   time.Time     // when the last one was put
	busy    time.Duration // how long to wait with jobs that the scheduler did not take
	retry   time.Time     // when to try again
	failing bool          // the last question was not answered
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
		x.submit(r)
		x.cancel(r)
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
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	if len(x.fresh) == 0 || now.Before(r.retry) ||
		now.Sub(x.fresh[0].since) < gathered && now.Sub(x.fresh[len(x.fresh)-1].since) < quiet {
		return ask, nil
	}
	ask = x.ask(x.fresh[0].job)
	largest := x.Scheduler.Traits().Largest
	for _, a := range x.fresh {
		if x.ask(a.job) == ask && (largest <= 0 || len(all) < largest) {
			all = append(all, a)
		}
	}
	return ask, all
}

// submit hands in what is due.
func (x *Executor) submit(r *rounds) {
	ask, all := x.due(r)
	if len(all) == 0 {
		return
	}
	b, err := x.newBatch(ask, all)
	if err == nil {
		err = x.handIn(b, len(all) > 1)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if errors.Is(err, ErrBusy) {
		r.busy = min(max(2*r.busy, 2*time.Second), time.Minute)
		if r.retry.IsZero() {
			x.tell("%v; trying again", err)
		}
		r.retry = time.Now().Add(r.busy)
		return
	}
	r.busy, r.retry = 0, time.Time{}
	for i, a := range all {
		k := slices.Index(x.fresh, a)
		switch {
		case k >= 0 && err == nil:
			a.place(b, i, b.ids[i])
			x.live[a] = true
		case k >= 0:
			a.err = err
			a.place(nil, 0, "")
		case err == nil && !a.detached: // it was dropped meanwhile
			x.unwanted = append(x.unwanted, b.ids[i])
			b.left--
		}
		if k >= 0 {
			x.fresh = slices.Delete(x.fresh, k, k+1)
		}
	}
}

// handIn submits a batch, and writes down its names. A batch of several elements is held back
// until a job has shown that a node can perform any: a node without the store fails hundreds
// as fast as one.
func (x *Executor) handIn(b *batch, many bool) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), command)
	defer cancel()
	defer func() {
		b.Locked.Close()
		if err != nil {
			x.remove(b.Dir)
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
	if b.ids, err = x.Scheduler.Submit(ctx, &b.Batch); err != nil {
		return err
	}
	x.mu.Lock()
	x.submitted += b.Size
	x.mu.Unlock()
	x.tell("%s", handed(x.Scheduler.Traits().Name, b.ids))
	return writeJSON(filepath.Join(b.Dir, "ids"), b.ids)
}

// handed words which jobs were handed in: "3 in the queue: Slurm job 7_0 to 7_2".
func handed(job string, ids []string) string {
	if len(ids) == 1 {
		return fmt.Sprintf("%s %s is in the queue", job, ids[0])
	}
	return fmt.Sprintf("%d steps are in the queue: %s %s to %s", len(ids), job, ids[0], ids[len(ids)-1])
}

// cancel ends the jobs that nobody wants any more.
func (x *Executor) cancel(r *rounds) {
	x.mu.Lock()
	ids := x.unwanted
	x.unwanted = nil
	x.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), command)
	defer stop()
	if err := x.Scheduler.Cancel(ctx, ids); err != nil {
		x.tell("jobs could not be cancelled: %v", err)
	}
	r.poll = min(r.poll, time.Second) // somebody waits for their end
}

// drop keeps an attempt from being handed in, or has its job cancelled unless it is to be left
// to itself. The caller holds mu.
func (x *Executor) drop(a *attempt) {
	if a.batch != nil && !a.detached {
		x.unwanted = append(x.unwanted, a.id)
	}
	x.fresh = slices.DeleteFunc(x.fresh, func(b *attempt) bool { return a == b })
	x.rouse()
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
	x.asked++
	if err != nil {
		if !r.failing {
			x.tell("it does not say how its jobs are: %v; asking again", err)
		}
		r.failing = true
		r.poll = min(2*r.poll, time.Minute)
		return
	}
	r.failing = false
	changed := false
	for _, a := range live {
		changed = a.learn(states[a.id]) || changed
	}
	if r.poll = min(2*r.poll, max(time.Minute, x.firstPoll())); changed {
		r.poll = x.firstPoll()
	}
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
