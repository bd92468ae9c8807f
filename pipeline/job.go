package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
)

// jobFormat is the version of a Job in JSON. A performer refuses any other.
const jobFormat = 1

// Job is everything that one attempt at an action takes, as a value. A process that
// has it, a store and the stages can perform it with [Perform]. An action's preimage is
// not enough for that: it leaves out what cannot change the result, and holds secrets
// only as digests.
//
// A Job names no lock, checkpoint or temporary directory: the performer takes
// them from its own store, so that they are held by the process that uses them
// and die with it.
type Job struct {
	Format  int                `json:"format"`
	Action  artifacts.ActionID `json:"action"`
	Stage   string             `json:"stage"`
	Version int                `json:"version"`

	// Config is the stage's whole configuration, with files as handles. The
	// attributes in Withheld are sensitive and are left out of it.
	Config   json.RawMessage `json:"config"`
	Withheld []string        `json:"withheld,omitempty"`
	// Secrets has the withheld attributes' values. It is never part of the JSON:
	// an executor hands it over in a way that leaves nothing on a disk.
	Secrets Secrets `json:"-"`

	Inputs []Input `json:"inputs,omitempty"` // every file in Config, each once
	Dir    string  `json:"dir,omitempty"`    // what relative paths in Inputs are relative to

	Resources map[string]float64 `json:"resources,omitempty"` // what it was granted: "cpus", "gpus", "memory" (bytes)
	GPUs      []int              `json:"gpus,omitempty"`      // which ones
	CPUs      []int              `json:"cpu_set,omitempty"`   // which processors, where it was granted whole ones; none for any
	Timeout   time.Duration      `json:"timeout,omitempty"`   // ns; 0 for none

	Step     string        `json:"step"`
	Run      string        `json:"run"`
	Attempt  int           `json:"attempt"`         // from 1
	Rerun    bool          `json:"rerun,omitempty"` // run also what has a result, from the beginning
	Lineage  []Ancestor    `json:"lineage,omitempty"`
	LogLevel zerolog.Level `json:"log_level"` // what of the stage's log is wanted

	// Grace is how long a stage that is told to stop, by its timeout or by its caller, may
	// take to write its checkpoint before it is given up; 0 for as long as it likes. It is
	// the executor's, which alone can enforce it where a stage is a process: a process
	// cannot kill a part of itself.
	Grace time.Duration `json:"-"`

	// Fenced says that another attempt at the action may begin before this one has ended, as
	// where a scheduler has lost the machine that it runs on. The attempt then takes its
	// checkpoint before the stage begins, so that it is the one that is kept out, not the other.
	Fenced bool `json:"-"`

	// Alone says that the performer's process is there for this job and nothing else, so that
	// what it has used is what the attempt has.
	Alone bool `json:"-"`

	// Returned, unless nil, is called when the stage has returned, and before what it
	// made is stored: the timeout is the stage's.
	Returned func() `json:"-"`

	// Committing, unless nil, is called when nothing is left to do but to wait for the
	// disk: what the job was granted is free for others from then on.
	Committing func() `json:"-"`

	stage *Stage
}

// Input is a file that a job reads.
type Input struct {
	File artifacts.File `json:"file"`
	Path string         `json:"path,omitempty"` // where the recipe names it; "" for what is in the store
}

// Secrets are the values of sensitive attributes, as JSON. They do not print.
type Secrets map[string]json.RawMessage

// Format keeps every verb of package fmt from printing the values.
func (s Secrets) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[%d withheld]", len(s))
}

// newJob makes the job of an action; what the run grants it is for the caller to add.
func newJob(a *action, s *Step) (*Job, error) {
	j := &Job{Format: jobFormat, Action: a.id, Stage: s.Stage.Name, Version: s.Stage.Version,
		Timeout: s.Timeout, Step: s.ID, Secrets: Secrets{}, stage: s.Stage}
	b, err := json.Marshal(a.config)
	if err != nil {
		return nil, err
	}
	var attrs map[string]json.RawMessage
	if err := json.Unmarshal(b, &attrs); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if a.sensitive[name] {
			j.Withheld = append(j.Withheld, name)
			j.Secrets[name] = attrs[name]
			delete(attrs, name)
		}
	}
	if j.Config, err = canonical(attrs); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(a.inputs)) {
		f := a.inputs[path]
		j.Inputs = append(j.Inputs, Input{artifacts.File{Digest: f.Digest, Size: f.Size, Tree: f.Tree}, path})
	}
	_ = eachFile(settable(a.config), func(f *artifacts.File) error {
		same := func(in Input) bool { return in.File.Digest == f.Digest }
		if !f.Digest.IsZero() && !slices.ContainsFunc(j.Inputs, same) {
			j.Inputs = append(j.Inputs, Input{File: artifacts.File{Digest: f.Digest, Size: f.Size, Tree: f.Tree}})
		}
		return nil
	})
	j.Dir, _ = os.Getwd() // without one, paths are absolute or cannot be read here either
	return j, nil
}

// Bind finds the job's stage among those that this program has, which Perform
// needs of a job that came from elsewhere.
func (j *Job) Bind(stages []*Stage) error {
	if j.Format != jobFormat {
		return fmt.Errorf("the job has format %d, this runner performs format %d", j.Format, jobFormat)
	}
	for _, s := range stages {
		if s.Name == j.Stage && s.Version == j.Version {
			j.stage = s
			return nil
		}
	}
	return fmt.Errorf("this runner has no stage %s in version %d: it must be of the version that sent the job", j.Stage, j.Version)
}

// config decodes the configuration and returns the action's preimage with it. It
// fails if these are not of the job's action: a performer of another build must
// not put a result under a key that its own plans would not give it.
func (j *Job) config() (config any, preimage []byte, err error) {
	if j.stage == nil {
		return nil, nil, errors.New("the job is bound to no stage")
	}
	var attrs map[string]json.RawMessage
	if err := json.Unmarshal(j.Config, &attrs); err != nil {
		return nil, nil, fmt.Errorf("the job's configuration: %w", err)
	}
	sensitive := make(map[string]bool, len(j.Withheld))
	for _, name := range j.Withheld {
		value, ok := j.Secrets[name]
		if !ok {
			return nil, nil, fmt.Errorf("the value of %s, which is sensitive, was not handed over with the job", name)
		}
		attrs[name], sensitive[name] = value, true
	}
	b, err := canonical(attrs)
	if err != nil {
		return nil, nil, err
	}
	if config, err = j.stage.restore(b); err != nil {
		if len(sensitive) > 0 { // the error may quote a value
			err = errors.New("the stage does not take it (the reason may quote a sensitive value)")
		}
		return nil, nil, fmt.Errorf("the job's configuration: %w", err)
	}
	if preimage, err = j.stage.preimage(config, sensitive); err != nil {
		return nil, nil, err
	}
	if id := artifacts.NewActionID(preimage); id != j.Action {
		return nil, nil, fmt.Errorf("the job is of action %s, but its configuration is that of %s: was it made by another build of the runner?",
			short(j.Action), short(id))
	}
	return config, preimage, nil
}

func short(id artifacts.ActionID) string { return id.String()[:12] }

// restore decodes a whole configuration, as it is marshalled. Nothing is laid
// over the defaults: a field that is empty and omitted was written as empty.
func restore[C any](b []byte) (any, error) {
	var c C
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&c)
	return c, err
}
