package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
	"eyrie/pipeline"
	"eyrie/pipeline/apart"
	"eyrie/pipeline/cluster"
)

// Node performs an element of a batch on a machine that has no store.
type Node struct {
	Order  Order
	Cache  *team.Cache
	Bucket blob.Bucket // the one that the batch's files are in
	// Command returns the command that performs a job of a store, by the path of its
	// files, and prints what is the job's log.
	Command func(store, job string) *exec.Cmd
	// Requeue puts the job that this process belongs to back into the queue, after SIGUSR1.
	Requeue func() error
}

// errand is what relay knows of a batch's job file. The rest is the performer's.
type errand struct {
	Job        *pipeline.Job   `json:"job,omitempty"`
	Checkpoint *artifacts.File `json:"checkpoint,omitempty"`
}

// exitTrouble is the exit code of a node that could not even begin.
const exitTrouble = 1

// Perform performs an element, and returns the exit code of the job. An error says that it could
// not even say how that went.
func (n *Node) Perform(ctx context.Context, element int) (code int, err error) {
	s := &session{node: n, box: n.Order.box(n.Bucket), element: element, next: 1, signals: make(chan os.Signal, 4)}
	signal.Notify(s.signals, syscall.SIGTERM, syscall.SIGUSR1, os.Interrupt)
	defer signal.Stop(s.signals)
	defer s.end()
	if told, err := s.untilTold(ctx, s.begin); told {
		return cluster.ExitStopped, nil
	} else if err != nil {
		return exitTrouble, err
	}
	if code, err = s.perform(ctx); err != nil { // whatever is wrong on this node, the runner is told
		s.say(apart.Last(pipeline.Result{}, err))
		return exitTrouble, s.sendAll(ctx)
	}
	return code, nil
}

// session is one start of an element.
type session struct {
	node    *Node
	box     *box
	element int
	start   int
	next    int // of the part that comes next

	scratch string // the directory of all that the node has of it
	store   *store.Store
	path    string // of the job's files
	errand  errand

	said        []byte         // events that are in no part yet
	part        []byte         // that is being sent, and stays as it is until it is there: it may have been read
	events, log tail           // of the performer's files
	last        *apart.Message // with which it came to its end, held back until its result is published
	sent        time.Time
	signals     chan os.Signal
	kept        time.Time // the checkpoint that was sent
	signal      os.Signal
}

// begin makes the node's store, and fetches what the job is.
func (s *session) begin(ctx context.Context) (err error) {
	if dir := s.node.Order.Scratch; dir != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	if s.scratch, err = os.MkdirTemp(s.node.Order.Scratch, "eyrie-job-"); err != nil {
		return err
	}
	if s.store, err = store.Open(filepath.Join(s.scratch, "store")); err != nil {
		return err
	}
	s.node.Cache.Insist(insistence)
	s.store.Back(lenient{s.node.Cache})
	text, err := s.enter(ctx)
	if err != nil {
		return err
	}
	s.path = filepath.Join(s.scratch, "job")
	s.events, s.log = tail{path: s.path + ".0.events"}, tail{path: s.path + ".log"}
	if err := json.Unmarshal(text, &s.errand); err != nil {
		return err
	}
	return os.WriteFile(s.path+".job", text, 0o666)
}

// enter notes that the element is started, and fetches its job's file. A batch that is over has none.
func (s *session) enter(ctx context.Context) (text []byte, err error) {
	err = Insist(ctx, func(ctx context.Context) (err error) {
		text, err = s.box.get(ctx, jobFile(s.element))
		return settled(err)
	})
	if err != nil {
		return nil, fmt.Errorf("the job's file: %w", err)
	}
	return text, Insist(ctx, func(ctx context.Context) error {
		for ; ; s.start++ {
			if err := s.box.create(ctx, startFile(s.element, s.start)); !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	})
}

// settled marks an error that is the bucket's answer as one that [Insist] does not try again.
func settled(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errForged) {
		return fmt.Errorf("%w: %w", blob.ErrRefused, err)
	}
	return err
}

func (s *session) end() {
	if s.store != nil {
		_ = s.store.Close()
	}
	if s.scratch != "" {
		_ = os.RemoveAll(s.scratch)
	}
}

// perform has the job performed, unless there is its result by now.
func (s *session) perform(ctx context.Context) (code int, err error) {
	if job := s.errand.Job; job != nil {
		var found bool
		told, err := s.untilTold(ctx, func(ctx context.Context) (err error) {
			found, err = s.prepare(ctx, job)
			return err
		})
		if told {
			s.say(apart.Message{Stopped: "it was told to stop, before it began"})
			return cluster.ExitStopped, s.sendAll(ctx)
		}
		if found || err != nil {
			return 0, err
		}
	}
	cmd := s.node.Command(filepath.Join(s.scratch, "store"), s.path)
	log, err := os.Create(s.path + ".log")
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // what that means, the exit code says
		close(ended)
	}()
	if err := s.watch(ctx, cmd, ended); err != nil {
		return 0, err
	}
	return exitCode(cmd.ProcessState), s.conclude(ctx, cmd.ProcessState)
}

// untilTold does something until a signal comes, and reports whether one did.
func (s *session) untilTold(parent context.Context, do func(ctx context.Context) error) (told bool, err error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	go func() {
		select {
		case got := <-s.signals:
			s.signals <- got // for whoever looks next
			cancel()
		case <-ctx.Done():
		}
	}()
	err = do(ctx)
	return ctx.Err() != nil && parent.Err() == nil, err
}

// exitCode is a process's as a shell has it.
func exitCode(p *os.ProcessState) int {
	if status, ok := p.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.ExitCode()
}

// prepare brings what a job reads into the node's store, and reports whether its result is
// there already.
func (s *session) prepare(ctx context.Context, job *pipeline.Job) (found bool, err error) {
	if !job.Rerun {
		if r, err := s.store.Lookup(ctx, job.Action); err == nil {
			s.say(apart.Last(pipeline.Result{Record: r, Found: true}, nil))
			return true, s.sendAll(ctx)
		}
	}
	files := make([]artifacts.File, len(job.Inputs))
	for i, in := range job.Inputs {
		files[i] = in.File
	}
	if err := s.bring(ctx, files); err != nil {
		return false, fmt.Errorf("an input could not be read from the cache (run again to make it anew): %w", err)
	}
	err = s.layCheckpoint(ctx, job)
	s.moved(pipeline.Event{Fetched: s.store.AllArrived()}) // the store is there for this job alone
	return false, err
}

// moved tells what has come from the cache, or has gone there, for the step.
func (s *session) moved(e pipeline.Event) {
	if e.Type = pipeline.StepMoved; e.Fetched+e.Sent > 0 {
		s.say(apart.Message{Event: &e})
	}
}

// bringing is how often a node tries to fetch what its job reads.
const bringing = 5

// bring fetches what a job reads. That a connection broke does not make a file a lost one: nobody
// here can make it anew.
func (s *session) bring(ctx context.Context, files []artifacts.File) error {
	for n := 1; ; n++ {
		err := s.store.Bring(ctx, files)
		if err == nil || n == bringing || !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrDamaged) {
			return err
		}
		select {
		case <-time.After(time.Second << n):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lenient is a cache that takes no object for spoilt.
type lenient struct{ *team.Cache }

func (lenient) Spoil(artifacts.Digest) {}

// watch passes on what the performer says, and signals to it, until it ends. A bucket that is slow
// keeps no signal from it, which has little time to keep a checkpoint.
func (s *session) watch(ctx context.Context, cmd *exec.Cmd, ended <-chan struct{}) error {
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { s.forward(cmd, ended) })
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	wait.Go(func() { // what is on its way then is sent with the rest
		select {
		case <-ended:
			cancel()
		case <-sending.Done():
		}
	})
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	checked := time.Now()
	for {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			<-ended
			return ctx.Err()
		case <-tick.C:
		}
		if err := s.sendSome(sending); err != nil {
			continue // it is sent again
		}
		if time.Since(checked) >= between {
			checked = time.Now()
			_ = s.sendCheckpoint(sending) // the next one may do
		}
	}
}

// forward passes on signals to the performer.
func (s *session) forward(cmd *exec.Cmd, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case got := <-s.signals:
			s.signal = got
			_ = cmd.Process.Signal(got) // it may have ended
		}
	}
}

// pace is how long there is between parts: the longer the more there have been, since each is
// an object of the bucket.
func (s *session) pace() time.Duration {
	return s.node.Order.Pace * time.Duration(min(1+s.next/60, 10))
}

// sendSome sends what was said since the last part, if it is time to.
func (s *session) sendSome(ctx context.Context) error {
	if time.Since(s.sent) < s.pace() {
		return nil
	}
	s.hear(false)
	return s.send(ctx)
}

// hear takes what the performer has said. Its last message is held back.
func (s *session) hear(end bool) {
	for line := range bytes.Lines(s.events.more(end)) {
		var m apart.Message
		if json.Unmarshal(line, &m) == nil && (m.Result != nil || m.Failure != nil || m.Stopped != "") {
			s.last = &m
			continue
		}
		s.said = append(s.said, line...)
	}
}

// say adds a message of the node's own.
func (s *session) say(m apart.Message) {
	var b bytes.Buffer
	apart.NewSender(&b).Send(m)
	s.said = append(s.said, b.Bytes()...)
}

// mostSending is how long a part may take, which has a few MiB at most.
const mostSending = 2 * time.Minute

// send sends what there is, as one part. Where that fails, nothing is lost: the part is sent again,
// as it was, since it may be there all the same.
func (s *session) send(ctx context.Context) (err error) {
	if s.part == nil {
		p := part{Events: s.said, Log: s.log.pending()}
		if len(p.Events)+len(p.Log) == 0 {
			return nil
		}
		if s.part, err = json.Marshal(p); err != nil {
			return err
		}
		s.said = nil
		s.log.done(len(p.Log))
	}
	ctx, cancel := context.WithTimeout(ctx, mostSending)
	defer cancel()
	s.sent = time.Now()
	if err := s.box.put(ctx, partFile(s.element, s.start, s.next), s.part); err != nil {
		return err
	}
	s.next++
	s.part = nil
	return nil
}

// conclude publishes the result, if there is one, and then says so.
func (s *session) conclude(ctx context.Context, ended *os.ProcessState) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 24*time.Hour)
	defer cancel()
	s.hear(true)
	if s.last == nil && died(ended, s.signal) { // before it could say so
		s.last = &apart.Message{Stopped: "it was told to stop, before it had begun"}
	}
	switch {
	case s.last == nil || s.last.Result == nil:
		_ = s.sendCheckpoint(ctx)
	case s.errand.Job != nil:
		if err := s.publish(ctx, s.last.Result.Record); err != nil {
			s.last = &apart.Message{Failure: pipeline.NewFailure(err)}
		}
	}
	if s.last != nil && s.last.Stopped != "" && s.signal == syscall.SIGUSR1 {
		if err := s.node.Requeue(); err != nil {
			s.last.Stopped = fmt.Sprintf("it could not be put back into the queue: %v", err)
		}
	}
	if s.errand.Job != nil {
		s.moved(pipeline.Event{Sent: s.node.Cache.Sent(s.errand.Job.Action)})
	}
	if s.last != nil {
		s.say(*s.last)
	}
	return s.sendAll(ctx)
}

// died reports whether a process was ended by a signal that was passed on to it.
func died(p *os.ProcessState, signal os.Signal) bool {
	status, ok := p.Sys().(syscall.WaitStatus)
	return ok && signal != nil && status.Signaled() && status.Signal() == signal
}

// sendAll sends what there is, over several parts if that is much.
func (s *session) sendAll(ctx context.Context) error {
	for s.part != nil || len(s.said)+len(s.log.pending()) > 0 {
		if err := Insist(ctx, s.send); err != nil {
			return err
		}
	}
	return nil
}

// publish publishes a result, after which it can be found by everybody.
func (s *session) publish(ctx context.Context, r store.Record) error {
	if slices.ContainsFunc(r.Objects, func(f artifacts.File) bool { return f.Outside }) {
		return errors.New("its result is a tree that lies outside the store, and the node has nobody's: let a machine run the step that has the tree")
	}
	if err := s.node.Cache.Publish(ctx, s.store, r); err != nil {
		return fmt.Errorf("its result could not be published, so that nobody can find it: %w", err)
	}
	return nil
}
