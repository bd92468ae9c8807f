// Package apart is what executors share whose stages run in another process: what that says
// to the runner, and how it performs a job.
package apart

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// Message is what a performer says in a line of JSON; one of the fields is set. The last line
// of one that comes to its end is a Result or a Failure, or says why it was Stopped before.
type Message struct {
	Event    *pipeline.Event   `json:"event,omitempty"`
	Returned bool              `json:"returned,omitempty"` // the stage has; what it made is being stored
	Result   *pipeline.Result  `json:"result,omitempty"`
	Failure  *pipeline.Failure `json:"failure,omitempty"`
	Stopped  string            `json:"stopped,omitempty"`

	// Checkpoint is where an attempt can be gone on from, where the performer's store is lost
	// with it: a tree in what is behind that store.
	Checkpoint *artifacts.File `json:"checkpoint,omitempty"`
}

// Last returns the message with which a performer comes to its end.
func Last(result pipeline.Result, err error) Message {
	if err != nil {
		return Message{Failure: pipeline.NewFailure(err)}
	}
	return Message{Result: &result}
}

// Sender writes messages until its first error.
type Sender struct {
	mu   sync.Mutex
	json *json.Encoder
	err  error
}

// NewSender returns a sender that writes to w.
func NewSender(w io.Writer) *Sender {
	s := &Sender{json: json.NewEncoder(w)}
	s.json.SetEscapeHTML(false) // what is in a result must stay as it is, to the byte
	return s
}

// Send writes a message.
func (s *Sender) Send(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = s.json.Encode(m)
	}
}

// Err returns the first error.
func (s *Sender) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Perform performs a job in a process that was started for it, with one of the stages.
func Perform(ctx context.Context, s *store.Store, stages []*pipeline.Stage, job *pipeline.Job, report func(pipeline.Event)) (pipeline.Result, error) {
	if err := job.Bind(stages); err != nil {
		return pipeline.Result{}, err
	}
	job.Alone = true
	for i := range job.GPUs {
		job.GPUs[i] = i // as they are numbered among those that this process is shown
	}
	if err := limit(job.Resources["memory"]); err != nil {
		return pipeline.Result{}, fmt.Errorf("limiting the step's memory: %w", err)
	}
	return pipeline.Perform(ctx, s, job, report)
}
