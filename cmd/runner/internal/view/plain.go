package view

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"eyrie/pipeline"
)

// Plain shows a run as lines: when a step starts, how far it is, and how it ended. How far
// it is, is told after ten seconds, then ever less often, and less often still while
// there is nothing new.
type Plain struct {
	lines
	w       io.Writer
	mu      sync.Mutex
	running []*plainStep
	stop    chan struct{}
	stopped sync.WaitGroup
}

// plainStep is a running step, and what was said about it.
type plainStep struct {
	track
	begun     string    // the line that says so, until it is printed
	announced time.Time // when something was last printed
	told      time.Time // when what was last printed of its progress was new
}

const (
	patience = 500 * time.Millisecond // before it is said that a step has started
	interval = 10 * time.Second       // between lines of progress, at first
	rarely   = 5 * time.Minute        // between them in the end
)

// NewPlain returns a view that writes lines to w.
func NewPlain(w io.Writer, opt Options) *Plain {
	v := &Plain{lines: newLines(opt), w: w, stop: make(chan struct{})}
	v.stopped.Go(v.tick)
	return v
}

// tick says what no event says: that steps are still running.
func (v *Plain) tick() {
	t := time.NewTicker(patience / 2)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			v.report(now)
		case <-v.stop:
			return
		}
	}
}

func (v *Plain) report(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.running {
		switch {
		case s.begun != "" && now.Sub(s.since) >= patience:
			v.announce(s)
		case s.begun == "" && now.Sub(s.announced) >= s.wait():
			v.print(v.line(" ", s.id, s.news(now)))
			s.announced, s.told = now, s.changed
		}
	}
}

// wait returns how long after the last line of progress there is another: a tenth of the
// time that the step takes, and twice as long each time while there is nothing new.
func (s *plainStep) wait() time.Duration {
	wait := min(max(interval, s.announced.Sub(s.since)/10), rarely)
	switch {
	case s.progress == nil:
		return max(wait, s.announced.Sub(s.since))
	case s.told.Equal(s.changed):
		return max(wait, s.announced.Sub(s.changed))
	}
	return wait
}

// news describes the progress, or says for how long there has been none.
func (s *plainStep) news(now time.Time) string {
	text := s.text(now)
	part, known := s.part()
	switch {
	case s.progress != nil && s.told.Equal(s.changed):
		return join(s.count(), "nothing new for "+Duration(now.Sub(s.changed)))
	case known:
		return fmt.Sprintf("%d%%  %s", int(100*part), text)
	}
	return text
}

// Event prints the event's line, if it has one.
func (v *Plain) Event(e pipeline.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := slices.IndexFunc(v.running, func(s *plainStep) bool { return s.id == e.Step })
	if at >= 0 && e.Type == pipeline.StepStarted { // it has waited
		v.running = slices.Delete(v.running, at, at+1)
	}
	switch e.Type {
	case pipeline.StepWaiting:
		v.running = append(v.running, &plainStep{track: track{id: e.Step, since: e.Time, note: waits(e)}, announced: e.Time})
		v.print(v.of(e))
		return
	case pipeline.StepStarted:
		s := &plainStep{track: track{id: e.Step, since: e.Time}, begun: v.started(e)}
		v.running = append(v.running, s)
		if e.Resumed {
			v.announce(s)
		}
		return
	case pipeline.StepProgress:
		if at >= 0 {
			v.running[at].update(e.Time, *e.Progress)
		}
		return
	case pipeline.StepLog, pipeline.StepRetry:
		if at >= 0 && v.running[at].begun != "" {
			v.announce(v.running[at])
		}
		v.print(v.of(e))
		return
	}
	line := v.of(e)
	if at >= 0 {
		if s := v.running[at]; s.begun != "" && line != "" { // over before it was announced: one line tells all
			line += "  " + v.Style.Dim(s.begun)
		}
		v.running = slices.Delete(v.running, at, at+1)
	}
	v.print(line)
}

// Notice prints the text.
func (v *Plain) Notice(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.print(text)
}

// Close ends the view.
func (v *Plain) Close() {
	close(v.stop)
	v.stopped.Wait()
}

func (v *Plain) announce(s *plainStep) {
	v.print(v.line(v.Style.Yellow(">"), s.id, s.begun))
	s.begun, s.announced = "", time.Now()
}

func (v *Plain) print(line string) {
	if line != "" {
		fmt.Fprintln(v.w, line)
	}
}
