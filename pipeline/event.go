package pipeline

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// EventVersion is the version of the event stream's format. Fields may be
// added to a version; a field never changes its meaning.
const EventVersion = 1

// EventType is what changed.
type EventType string

// The types of events, in the order in which a step can meet them.
const (
	RunStarted   EventType = "run-started"
	StepCached   EventType = "step-cached"   // the result was in the store
	StepStarted  EventType = "step-started"  //
	StepQueued   EventType = "step-queued"   // handed to a scheduler, which starts it elsewhere
	StepWaiting  EventType = "step-waiting"  // for another run that does the same action
	StepProgress EventType = "step-progress" // not kept in the journal
	StepLog      EventType = "step-log"      // what the stage wrote to its log
	StepUsed     EventType = "step-used"     // from a performer to its caller: what the attempt has cost. It is told with the attempt's end, in no line of its own
	StepMoved    EventType = "step-moved"    // what has come from what is behind the store, or gone there, for the step; may be told several times, also behind its end
	StepRetry    EventType = "step-retry"    // an attempt failed, another follows
	StepDone     EventType = "step-done"     //
	StepFailed   EventType = "step-failed"   //
	StepStopped  EventType = "step-stopped"  // interrupted while it ran
	StepSkipped  EventType = "step-skipped"  // not started: what it needs failed, or the run was interrupted
	RunFinished  EventType = "run-finished"  //
	RunRecipe    EventType = "run-recipe"    // the recipe's text; only in the journal, the second line
	RunOutputs   EventType = "run-outputs"   // the recipe's outputs; only in the journal, the last line but one
)

// Event is a change in a run.
type Event struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	Run     string    `json:"run"`
	Type    EventType `json:"event"`

	Recipe   string          `json:"recipe,omitempty"`   // of RunStarted
	Steps    int             `json:"steps,omitempty"`    // of RunStarted: how many there are
	Header   *Header         `json:"header,omitempty"`   // of RunStarted
	Files    []Text          `json:"files,omitempty"`    // of RunRecipe
	Values   []OutputNote    `json:"values,omitempty"`   // of RunOutputs
	Step     string          `json:"step,omitempty"`     // the step's ID
	Stage    string          `json:"stage,omitempty"`    // of StepStarted
	Pos      string          `json:"pos,omitempty"`      // of StepStarted, StepFailed: in the recipe
	Action   string          `json:"action,omitempty"`   // the ActionID, once known
	Reasons  []Reason        `json:"reasons,omitempty"`  // of StepStarted
	Deps     []string        `json:"deps,omitempty"`     // of StepStarted, and of StepCached where no run has told: the steps that it needs
	Sources  []Source        `json:"sources,omitempty"`  // likewise: where its attributes came from
	Resumed  bool            `json:"resumed,omitempty"`  // of StepStarted: there is a checkpoint to go on from
	Progress *Progress       `json:"progress,omitempty"` // of StepProgress
	Log      json.RawMessage `json:"log,omitempty"`      // of StepLog: {"level", "message", …}
	Holder   string          `json:"holder,omitempty"`   // of StepWaiting: the process that does it; of StepQueued: the scheduler's job
	Attempt  int             `json:"attempt,omitempty"`  // of StepRetry: the one that failed, from 1
	Error    string          `json:"error,omitempty"`    //
	Err      error           `json:"-"`                  // of StepFailed: the error itself, for whoever observes the run
	Stack    string          `json:"stack,omitempty"`    // of StepFailed by a panic
	Left     bool            `json:"left,omitempty"`     // of StepStopped: its job goes on elsewhere
	After    []string        `json:"after,omitempty"`    // of StepSkipped: the steps that failed
	Elapsed  float64         `json:"elapsed,omitempty"`  // s
	Usage    *Usage          `json:"usage,omitempty"`    // of StepRetry, StepDone, StepFailed, StepStopped: what the attempt has cost, where one began
	Fetched  int64           `json:"fetched,omitempty"`  // of StepMoved: bytes of artifacts
	Sent     int64           `json:"sent,omitempty"`     // likewise
	Secret   bool            `json:"secret,omitempty"`   // of StepDone, StepCached: the output is sensitive
	Status   Status          `json:"status,omitempty"`   // of RunFinished
	Done     int             `json:"done,omitempty"`     // of RunFinished: steps run
	Cached   int             `json:"cached,omitempty"`   // of RunFinished: steps cached
	Failed   int             `json:"failed,omitempty"`   // of RunFinished
	Stopped  int             `json:"stopped,omitempty"`  // of RunFinished
	Skipped  int             `json:"skipped,omitempty"`  // of RunFinished
}

// MarshalZerologObject writes the event's fields, so that any zerolog.Logger
// can carry the stream: logger.Log().EmbedObject(event).Send().
func (e Event) MarshalZerologObject(z *zerolog.Event) {
	b, err := json.Marshal(e)
	if err != nil {
		z.Err(err)
		return
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		z.Err(err)
		return
	}
	for _, name := range eventFields {
		if raw, ok := fields[name]; ok {
			z.RawJSON(name, raw)
		}
	}
}

// line returns the event as a line of a journal.
func (e Event) line() []byte {
	if e.isPlain() {
		return e.plainLine()
	}
	b, err := json.Marshal(e)
	if err != nil {
		e.Log, e.Error = nil, err.Error()
		b, _ = json.Marshal(e) // as nothing but Log can fail
	}
	return append(b, '\n')
}

// isPlain reports whether the event says only which step was cached, as most do.
func (e Event) isPlain() bool {
	return e.Type == StepCached && e.Deps == nil && e.Sources == nil && !e.Secret && e.Elapsed == 0 && e.Usage == nil
}

// plainLine is line for an event that is plain: in a tenth of the time.
func (e Event) plainLine() []byte {
	step, _ := json.Marshal(e.Step) // no string fails
	b := make([]byte, 0, 256)
	b = strconv.AppendInt(append(b, `{"v":`...), int64(e.Version), 10)
	b = e.Time.AppendFormat(append(b, `,"time":"`...), time.RFC3339Nano)
	b = append(append(b, `","run":"`...), e.Run...)
	b = append(append(b, `","event":"step-cached","step":`...), step...)
	b = append(append(b, `,"action":"`...), e.Action...)
	return append(b, "\"}\n"...)
}

// eventFields are the names of an event's fields, in the struct's order.
var eventFields = fieldNames[Event]()
