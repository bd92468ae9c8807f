// Package slurm submits jobs to Slurm, by its commands: sbatch, squeue, scontrol, scancel and,
// where accounting is kept, sacct. They are everywhere where Slurm is, which slurmrestd is not.
package slurm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"eyrie/pipeline/cluster"
)

// Scheduler is Slurm, with what a site wants of its jobs.
type Scheduler struct {
	Partition, Account, QOS string
	Constraint              string        // features of nodes
	GRES                    string        // what a GPU is, as in "gpu:a100"; "" for --gpus
	Extra                   []string      // further options of sbatch
	Notice                  time.Duration // between the signal and the time limit; 0 for two minutes

	traits func() cluster.Traits
}

// New completes a scheduler.
func New(s Scheduler) *Scheduler {
	s.traits = sync.OnceValue(func() cluster.Traits {
		return cluster.Traits{Name: "Slurm job", After: true, Largest: largest()}
	})
	return &s
}

// Traits does what [cluster.Scheduler] says.
func (s *Scheduler) Traits() cluster.Traits { return s.traits() }

// defaultLargest is the MaxArraySize of Slurm's where nobody has set another.
const defaultLargest = 1001

// largest returns how many elements an array may have.
func largest() int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := run(ctx, nil, "scontrol", "show", "config")
	if m := regexp.MustCompile(`(?m)^MaxArraySize\s*=\s*(\d+)`).FindStringSubmatch(out); err == nil && m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 1 {
			return n - 1 // numbers are below it
		}
	}
	return defaultLargest - 1
}

// Check reports whether Slurm can be used, and takes jobs that ask for something; it returns
// Slurm's version. No job is made. That Slurm is away, or that no node is up that has what a job
// asks for, is [cluster.ErrBusy].
func (s *Scheduler) Check(ctx context.Context, asks ...cluster.Ask) (version string, err error) {
	version, err = run(ctx, nil, "sinfo", "--version")
	if err != nil {
		return "", err
	}
	out, err := run(ctx, nil, "sinfo", "-h", "-o", "%P")
	if err != nil {
		return "", err
	}
	partitions := strings.Fields(strings.ReplaceAll(out, "*", ""))
	for _, p := range strings.Split(s.Partition, ",") { // of several, Slurm takes the one that starts first
		if p != "" && !slices.Contains(partitions, p) {
			return "", fmt.Errorf("there is no partition %q, but %s", p, strings.Join(partitions, ", "))
		}
	}
	for _, ask := range asks {
		try := &cluster.Batch{Name: "eyrie-try", Dir: "/", Size: 1, Ask: ask}
		_, err := run(ctx, []byte("#!/bin/sh\n"), "sbatch", append(s.options(try), "--test-only")...)
		switch {
		case err == nil:
		case slices.ContainsFunc(absent, func(s string) bool { return strings.Contains(err.Error(), s) }):
			return "", fmt.Errorf("%w: no job could be started: %w", cluster.ErrBusy, err)
		default:
			return "", fmt.Errorf("no job could be handed in: %w", err)
		}
	}
	return strings.TrimSpace(version), nil
}

// absent are parts of what sbatch says where no node has what a job asks for now: it is taken, and
// waits.
var absent = []string{"Requested node configuration is not available", "Required node not available", "Nodes required for job are DOWN"}

// Submit does what [cluster.Scheduler] says: a batch is an array, also one of a single job, so
// that the element's number is always there.
func (s *Scheduler) Submit(ctx context.Context, b *cluster.Batch) ([]string, error) {
	cmd := command(ctx, "sbatch", s.options(b)...)
	cmd.Stdin = strings.NewReader(script(b))
	cmd.ExtraFiles = []*os.File{b.Locked}
	out, err := output(ctx, cmd)
	if err != nil {
		return nil, err
	}
	jobs := numbers(out)
	if len(jobs) == 0 {
		return nil, fmt.Errorf("sbatch printed %q in place of a job's number", out)
	}
	return elements(jobs[len(jobs)-1], b.Size), nil
}

// numbers returns the numbers of jobs in what a command prints, each in a line of its own, perhaps
// with the cluster's name behind it. A site's own sbatch may greet its users in others.
func numbers(out string) (all []string) {
	for line := range strings.Lines(out) {
		number, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		if _, err := strconv.ParseUint(number, 10, 32); err == nil {
			all = append(all, number)
		}
	}
	return all
}

// script returns what each element of the array runs.
func script(b *cluster.Batch) string {
	if b.Script == "" {
		return "#!/bin/sh\nexec /bin/sh '" + strings.ReplaceAll(b.Dir, "'", `'\''`) + "/run' \"$SLURM_ARRAY_TASK_ID\"\n"
	}
	first, rest, _ := strings.Cut(b.Script, "\n")
	return first + "\nset -- \"$SLURM_ARRAY_TASK_ID\"\n" + rest
}

// logOf returns where Slurm puts what an element prints. Where nodes do not see the batch's
// files, the element's runner sends it.
func logOf(b *cluster.Batch) string {
	if b.Script == "" {
		return strings.ReplaceAll(b.Dir, "%", "%%") + "/%a.log"
	}
	return "/dev/null"
}

func elements(job string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = job + "_" + strconv.Itoa(i)
	}
	return ids
}

// options are sbatch's. It must say which job it has made: never -Q.
func (s *Scheduler) options(b *cluster.Batch) []string {
	notice := cmp.Or(s.Notice, 2*time.Minute)
	if t := b.Ask.Time; t > 0 {
		notice = min(notice, t/4) // of a short limit, most is for the work
	}
	all := []string{
		"--parsable", "--job-name=" + b.Name, "--array=0-" + strconv.Itoa(b.Size-1), "--requeue", "--open-mode=append", "--kill-on-invalid-dep=yes",
		"--output=" + logOf(b), "--chdir=/", fmt.Sprintf("--signal=B:USR1@%d", int(notice.Seconds())),
	}
	add := func(option, value string) {
		if value != "" {
			all = append(all, option+"="+value)
		}
	}
	add("--partition", s.Partition)
	add("--account", s.Account)
	add("--qos", s.QOS)
	add("--constraint", s.Constraint)
	if b.After != "" {
		add("--dependency", "afterok:"+b.After)
	}
	if b.Ask.Time > 0 {
		add("--time", strconv.Itoa(int((b.Ask.Time+time.Minute-1)/time.Minute)))
	}
	if n := int64(max(1, b.Ask.Nodes)) << 20; b.Ask.Memory > 0 {
		add("--mem", strconv.FormatInt((b.Ask.Memory+n-1)/n, 10)+"M")
	}
	nodes, tasks := max(1, b.Ask.Nodes), 1
	if nodes > 1 { // a task for each GPU, or else for each node
		each := max(1, (b.Ask.GPUs+nodes-1)/nodes)
		tasks = nodes * each
		add("--nodes", strconv.Itoa(nodes))
		add("--ntasks-per-node", strconv.Itoa(each))
	}
	if n := (b.Ask.CPUs + tasks - 1) / tasks; n > 0 {
		add("--cpus-per-task", strconv.Itoa(n))
	}
	if n := (b.Ask.GPUs + nodes - 1) / nodes; n > 0 && s.GRES != "" {
		add("--gres", s.GRES+":"+strconv.Itoa(n))
	} else if n > 0 {
		add("--gpus-per-node", strconv.Itoa(n))
	}
	return append(all, s.Extra...)
}

// Find does what [cluster.Scheduler] says.
func (s *Scheduler) Find(ctx context.Context, b *cluster.Batch) ([]string, error) {
	out, err := run(ctx, nil, "squeue", "-h", "--me", "-t", "all", "--name="+b.Name, "-o", "%F")
	if err != nil {
		return nil, err
	}
	if jobs := numbers(out); len(jobs) > 0 {
		return elements(jobs[0], b.Size), nil
	}
	return nil, nil
}

// Status does what [cluster.Scheduler] says: with one squeue, whatever their number.
func (s *Scheduler) Status(ctx context.Context, ids []string) (map[string]cluster.Status, error) {
	out, err := run(ctx, nil, "squeue", "-h", "-r", "--me", "-t", "all", "-o", "%i|%T|%N|%r")
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	return parse(out, wanted), nil
}

// parse reads what squeue prints of the jobs that are wanted. An array of which all elements
// were cancelled while they waited is there as a whole, without them.
func parse(out string, wanted map[string]bool) map[string]cluster.Status {
	all, whole := make(map[string]cluster.Status, len(wanted)), map[string]cluster.Status{}
	for line := range strings.Lines(out) {
		fields := strings.SplitN(strings.TrimSpace(line), "|", 4)
		switch {
		case len(fields) != 4:
		case wanted[fields[0]]:
			all[fields[0]] = status(fields[1], fields[2], fields[3])
		case !strings.Contains(fields[0], "_"):
			whole[fields[0]] = status(fields[1], fields[2], fields[3])
		}
	}
	for id := range wanted {
		array, _, _ := strings.Cut(id, "_")
		if s, ok := whole[array]; ok && all[id].State == cluster.Unknown {
			all[id] = s
		}
	}
	return all
}

// Cancel does what [cluster.Scheduler] says.
func (s *Scheduler) Cancel(ctx context.Context, ids []string) error {
	var failed []error
	for some := range slices.Chunk(ids, 100) { // hundreds at a time keep slurmctld busy for seconds
		if _, err := run(ctx, nil, "scancel", some...); err != nil && !strings.Contains(err.Error(), "Invalid job id") {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Requeue puts the job that this process belongs to back into the queue.
func Requeue() error {
	job := os.Getenv("SLURM_JOB_ID")
	if job == "" {
		return errors.New("SLURM_JOB_ID is not set")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := run(ctx, nil, "scontrol", "requeue", job)
	return err
}

// run runs one of Slurm's commands and returns what it prints.
func run(ctx context.Context, stdin []byte, name string, args ...string) (string, error) {
	cmd := command(ctx, name, args...)
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	return output(ctx, cmd)
}

// command returns one of Slurm's commands. It is in a group of its own, so that Ctrl-C does not
// end it between the submission of a job and its name, and has no variables of the job that
// this process may itself be part of: they would bind the new one to that one's processors.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	cmd.Env = Environment(os.Environ())
	return cmd
}

// own are the variables that say how Slurm's commands find it, and not which job this is.
var own = []string{"SLURM_CONF=", "SLURM_CONF_SERVER=", "SLURM_TIME_FORMAT="}

// Environment returns those variables that are not of the job that a process belongs to.
func Environment(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		has := func(p string) bool { return strings.HasPrefix(v, p) }
		return slices.ContainsFunc([]string{"SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "SQUEUE_", "SCANCEL_", "SALLOC_", "PMI_", "PMIX_"}, has) && !slices.ContainsFunc(own, has)
	})
}

// output runs a command, and returns what it prints. An error that passes is [cluster.ErrBusy].
func output(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	name := cmd.Args[0]
	switch text := strings.TrimSpace(errs.String()); {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("%w: %s did not end in time%s", cluster.ErrBusy, name, after(": ", plain(name, text)))
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("there is no %s on this machine: run from one where Slurm's commands are", name)
	case text != "":
		return "", classify(fmt.Errorf("%s: %s", name, plain(name, text)))
	default:
		return "", fmt.Errorf("%s: %w", name, err)
	}
}

// after returns a text behind another one, if there is any.
func after(sign, text string) string {
	if text == "" {
		return ""
	}
	return sign + text
}

// plain returns what a command says in one line, without its own name before each part.
func plain(name, text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimPrefix(line, name+": "), "error: ")
	}
	return strings.Join(lines, "; ")
}

// passing are parts of what the commands say where trying again helps.
var passing = []string{
	"Socket timed out", "Unable to contact slurm controller", "temporarily", "Connection refused", "Connection reset",
	"Zero Bytes were transmitted", "slurmctld is in recovery", "MaxSubmitJob", "maximum number of jobs",
}

// classify marks an error that passes.
func classify(err error) error {
	if slices.ContainsFunc(passing, func(s string) bool { return strings.Contains(err.Error(), s) }) {
		return fmt.Errorf("%w: %w", cluster.ErrBusy, err)
	}
	return err
}
