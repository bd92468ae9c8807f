// Package command submits jobs to any scheduler, by three commands that a site writes: one that
// submits a job, one that says how jobs are, one that cancels them. That is enough for LSF,
// PBS, HTCondor or a machine that is reached by ssh.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"eyrie/pipeline/cluster"
)

// Scheduler is whatever its commands lead to. In their words these stand for what they say:
//
//	{script} {element}    what a job runs: sh SCRIPT ELEMENT
//	{name} {log}          the batch's name; the file for what the job prints
//	{cpus} {gpus} {nodes} what it asks for, 0 for nothing
//	{memory_mb} {minutes} likewise
//	{ids}                 jobs, by spaces: of Status and Cancel
type Scheduler struct {
	Submitting []string // prints, in its last line, the scheduler's name for the job
	Asking     []string // prints a line for each job that it knows: its name, one of the words of states, and perhaps a reason
	Cancelling []string
}

// states are what the command that asks may say of a job.
var states = map[string]cluster.State{
	"pending": cluster.Pending, "running": cluster.Running, "done": cluster.Ended, "failed": cluster.Ended, "lost": cluster.Ended,
}

// Traits does what [cluster.Scheduler] says. A batch is small, as each of its jobs takes a command
// and all of them must be submitted within the two minutes that a batch may take.
func (s *Scheduler) Traits() cluster.Traits { return cluster.Traits{Name: "job", Largest: 10} }

// Submit does what [cluster.Scheduler] says, one job after the other. If one cannot be
// submitted, those before it are cancelled.
func (s *Scheduler) Submit(ctx context.Context, b *cluster.Batch) (ids []string, err error) {
	for i := range b.Size {
		out, err := run(ctx, b.Locked, fill(s.Submitting, map[string]string{
			"script": filepath.Join(b.Dir, "run"), "element": strconv.Itoa(i), "name": b.Name, "log": filepath.Join(b.Dir, strconv.Itoa(i)+".log"),
			"cpus": strconv.Itoa(b.Ask.CPUs), "gpus": strconv.Itoa(b.Ask.GPUs), "nodes": strconv.Itoa(b.Ask.Nodes),
			"memory_mb": strconv.FormatInt((b.Ask.Memory+1<<20-1)>>20, 10), "minutes": strconv.Itoa(int((b.Ask.Time + time.Minute - 1) / time.Minute)),
		}))
		lines := strings.Split(strings.TrimSpace(out), "\n")
		id := strings.TrimSpace(lines[len(lines)-1])
		if err == nil && (id == "" || strings.ContainsAny(id, " \t")) {
			err = fmt.Errorf("%s printed %q: want the job's name alone, without spaces, in its last line", s.Submitting[0], id)
		}
		if err != nil {
			if len(ids) > 0 {
				err = errors.Join(err, s.takeBack(ctx, ids))
			}
			return nil, fmt.Errorf("submit: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// takeBack cancels jobs of a batch that is not submitted whole, also because its time is over.
func (s *Scheduler) takeBack(ctx context.Context, ids []string) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	return s.Cancel(ctx, ids)
}

// Find does what [cluster.Scheduler] says: names that nobody has written down are lost. The
// result's lock keeps such a job and its successor from working side by side.
func (s *Scheduler) Find(context.Context, *cluster.Batch) ([]string, error) { return nil, nil }

// Status does what [cluster.Scheduler] says.
func (s *Scheduler) Status(ctx context.Context, ids []string) (map[string]cluster.Status, error) {
	out, err := run(ctx, nil, fill(s.Asking, map[string]string{"ids": strings.Join(ids, " ")}))
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	all := map[string]cluster.Status{}
	for line := range strings.Lines(out) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		word, reason, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if id == "" {
			continue
		}
		state, ok := states[strings.ToLower(word)]
		if !ok {
			return nil, fmt.Errorf("status: %s printed %q: want a job's name and one of pending, running, done, failed, lost", s.Asking[0], strings.TrimSpace(line))
		}
		all[id] = cluster.Status{State: state, Code: strings.ToLower(word), Reason: strings.TrimSpace(reason)}
	}
	return all, nil
}

// Explain does what [cluster.Scheduler] says.
func (s *Scheduler) Explain(_ context.Context, id string, last cluster.Status) cluster.Ending {
	reason := ""
	if last.Reason != "" {
		reason = " (" + last.Reason + ")"
	}
	switch last.Code {
	case "lost":
		return cluster.Ending{Err: fmt.Errorf("job %s was lost%s", id, reason), Lost: true}
	case "", "pending", "running":
		return cluster.Ending{Err: fmt.Errorf("job %s has vanished, and nobody knows why", id), Lost: true}
	}
	return cluster.Ending{Err: fmt.Errorf("job %s has ended without a result%s", id, reason)}
}

// Cancel does what [cluster.Scheduler] says.
func (s *Scheduler) Cancel(ctx context.Context, ids []string) error {
	if _, err := run(ctx, nil, fill(s.Cancelling, map[string]string{"ids": strings.Join(ids, " ")})); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	return nil
}

// fill puts values in a command's words.
func fill(words []string, values map[string]string) []string {
	var pairs []string
	for name, v := range values {
		pairs = append(pairs, "{"+name+"}", v)
	}
	r := strings.NewReplacer(pairs...)
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = r.Replace(w)
	}
	return all
}

// run runs a command in a group of its own, out of Ctrl-C's reach, and returns what it prints.
func run(ctx context.Context, inherit *os.File, words []string) (string, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	if inherit != nil {
		cmd.ExtraFiles = []*os.File{inherit}
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if text := strings.TrimSpace(errs.String()); err != nil && text != "" {
		err = fmt.Errorf("%s: %w: %s", words[0], err, text)
	} else if err != nil {
		err = fmt.Errorf("%s: %w", words[0], err)
	}
	return string(out), err
}
