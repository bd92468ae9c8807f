package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"sync"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/mistake"
)

// Observer is a configuration of which a part is not written but observed when the recipe
// is planned: the versions of the tools that it uses. What was observed is part of the key,
// as what is written is.
type Observer interface {
	// Observe returns the configuration with what it observes, or the mistakes in it.
	Observe(ctx context.Context, o *Observations) (config any, err error)
}

// Readier is a configuration that takes more of a machine than resources: programs that
// must be installed. It is asked only for a step that must run.
type Readier interface {
	// Ready reports what this machine lacks, as far as that follows from what is known.
	Ready(r *mistake.Report)
}

// Observations are what programs have said when they were asked, so that thousands of
// steps, and the next run, need not ask again.
type Observations struct {
	store  *store.Store
	mu     sync.Mutex
	memory map[observation]*answer
}

// observation is a question.
type observation struct{ program, question string }

type answer struct {
	once sync.Once
	text string
	err  error
}

func newObservations(s *store.Store) *Observations {
	return &Observations{store: s, memory: make(map[observation]*answer)}
}

// Of returns what look finds out about a program, a file, or what it found out before: in
// this run always, in another one if the answer follows from the program's content alone,
// as the caller says, and that is the same. A script's content says little, because it may
// start another program, as those of version managers do: it is asked in each run.
func (o *Observations) Of(ctx context.Context, program, question string, alone bool, look func() (string, error)) (string, error) {
	o.mu.Lock()
	key := observation{program, question}
	a := o.memory[key]
	if a == nil {
		a = new(answer)
		o.memory[key] = a
	}
	o.mu.Unlock()
	a.once.Do(func() {
		if alone && !isScript(program) {
			a.text, a.err = o.kept(ctx, key, look)
		} else {
			a.text, a.err = look()
		}
	})
	return a.text, a.err
}

// kept looks for the answer in the store, and keeps it there.
func (o *Observations) kept(ctx context.Context, q observation, look func() (string, error)) (string, error) {
	program, err := o.store.Hash(ctx, q.program)
	if err != nil {
		return "", err
	}
	preimage, err := canonical(map[string]any{"format": formatVersion, "observed": q.question, "program": program.Digest})
	if err != nil {
		return "", err
	}
	id := artifacts.NewActionID(preimage)
	var text string
	if r, err := o.store.Lookup(ctx, id); err == nil && json.Unmarshal(r.Output, &text) == nil {
		return text, nil
	}
	if text, err = look(); err != nil {
		return "", err
	}
	output, err := canonical(text)
	if err == nil { // a store that cannot be written is asked again, no more
		_ = o.store.Record(ctx, store.Record{Action: id, Preimage: preimage, Output: output})
	}
	return text, nil
}

// isScript reports whether the system runs a file by way of another program.
func isScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	begin := make([]byte, 2)
	n, _ := f.Read(begin)
	return bytes.Equal(begin[:n], []byte("#!"))
}

// observe completes an action's configuration by what is observed.
func (a *action) observe(ctx context.Context, o *Observations, s *Step, attrs Attrs) error {
	observer, ok := a.config.(Observer)
	if !ok {
		return nil
	}
	config, err := observer.Observe(ctx, o)
	if err != nil {
		return machineErrors(s, attrs, err)
	}
	a.config = config
	return nil
}

// ready reports what this machine lacks for a step that must run on it, as far as its
// attributes are known. What another machine lacks turns out there.
func ready(s *Step, attrs Attrs, config any, unknown []mistake.Path) error {
	if s.Place != "" {
		return nil
	}
	r := mistake.New(unknown...)
	if c, ok := config.(Readier); ok {
		c.Ready(r)
	}
	err := r.Err()
	if err == nil {
		return nil
	}
	err = machineErrors(s, attrs, err)
	if e, ok := err.(*StepError); ok {
		e.machine = true
	}
	return err
}

// machineErrors places mistakes about the machine, which follow from no attribute but the
// one that each is about.
func machineErrors(s *Step, attrs Attrs, err error) error {
	all := slices.Clone(mistake.Of(err))
	if len(all) == 0 {
		return stepError(s.Pos, s, "", err)
	}
	for i, m := range all {
		if len(m.Path) > 0 && attrs.Of(m.Path[0].Name).Sensitive {
			all[i] = s.Stage.hidden(m)
		}
	}
	return placed(s, attrs, all)
}
