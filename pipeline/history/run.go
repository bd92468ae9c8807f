package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// Run is what happened in a run.
type Run struct {
	Summary
	Files   []pipeline.Text       // of the recipe
	Steps   []*Step               // in the order in which the journal first tells of them
	Outputs []pipeline.OutputNote // of the recipe, where the run came to its end

	byID map[string]*Step
}

// Step is what became of a step in a run.
type Step struct {
	ID       string
	Stage    string             // of one that was started
	Pos      string             // likewise, in the recipe
	Type     pipeline.EventType // the last that changed its state: StepDone, …; StepStarted while it runs
	Action   artifacts.ActionID // zero where it was never known
	Reasons  []pipeline.Reason  // why it was started
	Deps     []string           // of one that was started: the steps that it needs
	Sources  []pipeline.Source  // likewise: where its attributes came from; see [pipeline.Event]
	Resumed  bool               // it went on from a checkpoint
	Started  time.Time          // zero where it was not
	Ended    time.Time          // zero while it runs
	Elapsed  time.Duration
	Holder   string    // the process that it waited for
	Attempts []Attempt // that failed, and were followed by another
	Log      []LogLine
	Error    string
	Stack    string
	After    []string        // of one that was skipped: the steps that failed
	Secret   bool            // its output is sensitive
	Usage    *pipeline.Usage // by its last attempt; nil where that is not known

	Fetched, Sent int64 // bytes of artifacts, from caches and to them, as far as the journal tells

	run *Summary
}

// Attempt is one that failed.
type Attempt struct {
	Number int // from 1
	At     time.Time
	Error  string
	Usage  *pipeline.Usage // nil where that is not known
}

// LogLine is a line of a stage's log.
type LogLine struct {
	At   time.Time
	Text json.RawMessage // {"level", "message", …}
}

// Step returns the step with this ID, or nil.
func (r *Run) Step(id string) *Step { return r.byID[id] }

// Read reads the journal of a run, given by its ID. The error is [store.ErrNotFound] where
// there is none.
func Read(s *store.Store, id string) (*Run, error) {
	f, err := s.OpenJournal(id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	alive := store.Writing(f)
	r, err := read(f, id)
	if err != nil {
		return nil, err
	}
	r.settle(alive)
	return r, nil
}

// settle gives a run without an end its status. Whether its journal was being written to
// was asked before it was read: a run that ended in between has its end.
func (r *Run) settle(alive bool) {
	switch {
	case r.Status != "":
	case alive:
		r.Status = Running
	default:
		r.Status = Killed
	}
}

func read(f *os.File, id string) (*Run, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r := &Run{Summary: Summary{ID: id}, byID: make(map[string]*Step)}
	if err := Events(f, r.add); err != nil {
		return nil, err
	}
	if r.Started.IsZero() {
		return nil, errors.New("the journal of run " + id + " does not begin with a run's start")
	}
	return r, nil
}

// Events calls f for each event of a journal. What is no event, as a line that was cut
// short, is passed over.
func Events(journal io.Reader, f func(pipeline.Event)) error { return NewTail(journal).Events(f) }

// Tail reads a journal while it grows.
type Tail struct {
	lines *bufio.Reader
	begun []byte // a line that has no end yet
}

// NewTail returns a reader of a journal from where it stands.
func NewTail(journal io.Reader) *Tail { return &Tail{lines: bufio.NewReaderSize(journal, 64<<10)} }

// Events calls f for each event that has been written since the last call.
func (t *Tail) Events(f func(pipeline.Event)) error {
	for {
		part, err := t.lines.ReadBytes('\n')
		t.begun = append(t.begun, part...)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var e pipeline.Event
		if json.Unmarshal(t.begun, &e) == nil && e.Type != "" {
			f(e)
		}
		t.begun = t.begun[:0]
	}
}

// IsEnd reports whether an event is a step's last.
func IsEnd(t pipeline.EventType) bool {
	switch t {
	case pipeline.StepCached, pipeline.StepDone, pipeline.StepFailed, pipeline.StepStopped, pipeline.StepSkipped:
		return true
	}
	return false
}

// add takes an event.
func (r *Run) add(e pipeline.Event) {
	switch e.Type {
	case pipeline.RunStarted:
		r.start(e)
		return
	case pipeline.RunRecipe:
		r.Files = e.Files
	case pipeline.RunOutputs:
		r.Outputs = e.Values
	case pipeline.RunFinished:
		r.finish(e)
		return
	}
	r.Ended = e.Time
	if e.Step == "" {
		return
	}
	s := r.byID[e.Step]
	if s == nil {
		s = &Step{ID: e.Step, run: &r.Summary}
		r.byID[e.Step] = s
		r.Steps = append(r.Steps, s)
	}
	s.add(e)
	r.count(e.Type)
}

// count keeps the counts of a run that has not come to its end.
func (r *Run) count(t pipeline.EventType) {
	switch t {
	case pipeline.StepDone:
		r.Done++
	case pipeline.StepCached:
		r.Cached++
	case pipeline.StepFailed:
		r.Failed++
	case pipeline.StepStopped:
		r.Stopped++
	case pipeline.StepSkipped:
		r.Skipped++
	}
}

// add takes an event about the step.
func (s *Step) add(e pipeline.Event) {
	if e.Action != "" {
		_ = s.Action.UnmarshalText([]byte(e.Action)) // what is none is unknown
	}
	switch {
	case e.Type == pipeline.StepWaiting, e.Type == pipeline.StepQueued:
		s.Holder, s.Type = e.Holder, e.Type
	case e.Type == pipeline.StepStarted:
		s.Type, s.Started, s.Stage, s.Pos, s.Resumed = e.Type, e.Time, e.Stage, e.Pos, e.Resumed
		s.Reasons, s.Deps, s.Sources = e.Reasons, e.Deps, e.Sources
	case e.Type == pipeline.StepLog:
		s.Log = append(s.Log, LogLine{e.Time, e.Log})
	case e.Type == pipeline.StepMoved:
		s.Fetched, s.Sent = s.Fetched+e.Fetched, s.Sent+e.Sent
	case e.Type == pipeline.StepRetry:
		s.Attempts = append(s.Attempts, Attempt{e.Attempt, e.Time, e.Error, e.Usage})
	case IsEnd(e.Type):
		s.Type, s.Ended, s.Elapsed = e.Type, e.Time, time.Duration(e.Elapsed*float64(time.Second))
		s.Error, s.Stack, s.After, s.Secret, s.Usage = e.Error, e.Stack, e.After, e.Secret, e.Usage
		if e.Deps != nil || e.Sources != nil {
			s.Deps, s.Sources = e.Deps, e.Sources
		}
		if e.Pos != "" {
			s.Pos = e.Pos
		}
	}
}
