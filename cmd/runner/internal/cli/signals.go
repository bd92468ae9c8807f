package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

// signals lets a run end well: while steps run, the first signal cancels its
// context, so that they write their checkpoints. The second, or one while nothing
// runs, ends the process at once.
type signals struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	say    func(text string) // where there is no view
	arrive chan os.Signal
	leave  func(os.Signal) bool // decides whether jobs elsewhere are left running; nil where there are none

	mu      sync.Mutex
	view    view.View // of the run, while there is one
	settled bool      // no step runs any more, and what they made is being published
}

// watchSignals begins to watch. It must be closed.
func watchSignals(parent context.Context, say func(text string)) *signals {
	s := &signals{say: say, arrive: make(chan os.Signal, 8)}
	s.ctx, s.cancel = context.WithCancelCause(parent)
	// A caught SIGPIPE, other than an ignored one, is not inherited by the
	// processes that stages start; for us, a write then fails with EPIPE.
	signal.Notify(s.arrive, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	go s.loop()
	return s
}

func (s *signals) loop() {
	for n := 0; ; {
		got, ok := <-s.arrive
		switch {
		case !ok:
			return
		case got == syscall.SIGPIPE:
		case n == 0:
			n++
			s.first(got)
		default:
			s.second()
		}
	}
}

func (s *signals) first(got os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view == nil { // nothing is lost: the store is always whole
		s.say("stopped")
		os.Exit(exitInterrupted)
	}
	if s.leave == nil || s.settled {
		s.stop(false)
		return
	}
	go func() { // a second signal may come while the user is asked
		leave := s.leave(got)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stop(leave)
	}()
}

// stop ends the run. The caller holds mu.
func (s *signals) stop(leave bool) {
	text := "stopping: waiting for the running steps to write their checkpoint (again: stop at once)"
	if s.settled {
		text = "stopping: what is being published has " + view.Duration(lastSettling) + " more (again: stop at once)"
	}
	if leave {
		text = "stopping: jobs elsewhere go on, and the next run finds them (again: stop at once)"
		s.cancel(pipeline.ErrDetached)
	}
	s.cancel(nil) // the first cause counts
	if s.view != nil {
		s.view.Notice(text)
	}
}

func (s *signals) second() {
	s.mu.Lock()
	if s.view != nil {
		s.view.Close()
	}
	os.Exit(exitInterrupted)
}

// notice says something, on the view if there is one, and reports whether there was.
func (s *signals) notice(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view != nil {
		s.view.Notice(text)
	}
	return s.view != nil
}

// showOn makes v, which may be nil, what shows that a signal came.
func (s *signals) showOn(v view.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view = v
}

// settle says that no step runs any more.
func (s *signals) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = true
}

// close stops watching.
func (s *signals) close() {
	signal.Stop(s.arrive)
	close(s.arrive)
	s.cancel(nil)
}

// guard returns a writer to w that interrupts the run, as a signal would, when
// nobody reads any more what it prints. Its writes never fail: a run does not
// fail for want of an audience.
func (s *signals) guard(w io.Writer) io.Writer { return guarded{s, w} }

type guarded struct {
	s *signals
	w io.Writer
}

func (g guarded) Write(b []byte) (int, error) {
	if _, err := g.w.Write(b); errors.Is(err, syscall.EPIPE) {
		g.s.cancel(nil)
	}
	return len(b), nil
}
