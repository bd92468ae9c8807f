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
)

// signals lets a run end well: while steps run, the first signal cancels its
// context, so that they write their checkpoints. The second, or one while nothing
// runs, ends the process at once.
type signals struct {
	ctx    context.Context
	cancel context.CancelFunc
	say    func(text string) // where there is no view
	arrive chan os.Signal

	mu   sync.Mutex
	view view.View // of the run, while there is one
}

// watchSignals begins to watch. It must be closed.
func watchSignals(parent context.Context, say func(text string)) *signals {
	s := &signals{say: say, arrive: make(chan os.Signal, 8)}
	s.ctx, s.cancel = context.WithCancel(parent)
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
			s.cancel()
			s.first()
		default:
			s.second()
		}
	}
}

func (s *signals) first() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view == nil { // nothing is lost: the store is always whole
		s.say("stopped")
		os.Exit(exitInterrupted)
	}
	s.view.Notice("stopping: waiting for the running steps to write their checkpoint (again: stop at once)")
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

// close stops watching.
func (s *signals) close() {
	signal.Stop(s.arrive)
	close(s.arrive)
	s.cancel()
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
		g.s.cancel()
	}
	return len(b), nil
}
