package export

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// Tracker is where MLflow keeps runs: behind a tracking server, see [Server], or in a
// directory, see [Directory].
type Tracker interface {
	// Experiment returns the id of the experiment of this name, which it makes if there is none.
	Experiment(ctx context.Context, name string) (id string, err error)
	// Find returns the run of the experiment that has the tags, nil if there is none.
	Find(ctx context.Context, experiment string, tags []Entry) (*Found, error)
	// Create makes a run.
	Create(ctx context.Context, experiment, name string, start time.Time, tags []Entry) (*Found, error)
	// Log adds to a run. What was added before may be added again.
	Log(ctx context.Context, run *Found, params []Entry, metrics []Metric, tags []Entry) error
	// Upload adds the file at path to a run, under a name with slashes.
	Upload(ctx context.Context, run *Found, name, path string) error
	// End says how a run ended: FINISHED, FAILED or KILLED.
	End(ctx context.Context, run *Found, status string, end time.Time) error
}

// Found is a run as a Tracker knows it.
type Found struct {
	ID    string
	Tags  map[string]string
	where string // of its files
}

// Entry is a name with a text.
type Entry struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Metric is a number, at a step of a curve or at 0.
type Metric struct {
	Key   string  `json:"key"`
	Value float64 `json:"value"`
	Time  int64   `json:"timestamp"` // ms since 1970
	Step  int64   `json:"step"`
}

// What MLflow takes. It refuses what is longer, and with it the whole request.
const (
	mostKey   = 250  // bytes
	mostParam = 500  // bytes: what servers before 2.8 take
	mostTag   = 4900 // bytes
)

// Tags by which runs are found again. The last one is set when nothing is missing any more.
const (
	runTag   = "eyrie.run"
	stepTag  = "eyrie.step"
	wholeTag = "eyrie.whole"
)

// Sent is what MLflow did.
type Sent struct {
	Run    string `json:"run"`    // the id of the run at MLflow
	New    int    `json:"new"`    // runs that were not there, or not whole
	Before int    `json:"before"` // runs that were
}

// MLflow puts the run into an experiment: as a run of its own and, nested in it, one for
// each step and each instance of a step with for_each. A step's attributes are its
// parameters, the numbers of its output its metrics; how each came about is a tag,
// provenance.NAME. The files among the recipe's outputs are artifacts. What is there
// already stays, and what an export that was killed has left undone is done.
func MLflow(ctx context.Context, t Tracker, experiment string, r *Run, fetch Fetch) (sent Sent, err error) {
	exp, err := t.Experiment(ctx, experiment)
	if err != nil {
		return sent, err
	}
	m := &exporter{t: t, experiment: exp, sent: &sent}
	err = m.put(ctx, trackedRun(r), func(parent *Found) error {
		sent.Run = parent.ID
		for i := range r.Steps {
			if err := m.put(ctx, trackedStep(r, &r.Steps[i], parent.ID), nil); err != nil {
				return fmt.Errorf("step %s: %w", r.Steps[i].ID, err)
			}
		}
		return m.files(ctx, parent, r.Outputs, fetch)
	})
	return sent, err
}

// exporter puts runs into an experiment.
type exporter struct {
	t          Tracker
	experiment string
	sent       *Sent
}

// tracked is a run of MLflow.
type tracked struct {
	name       string
	key        []Entry // tags by which it is found again
	status     string
	start, end time.Time
	params     []Entry
	metrics    []Metric
	tags       []Entry
}

// put makes the run, unless it is there, with what belongs to it.
func (m *exporter) put(ctx context.Context, r *tracked, rest func(*Found) error) error {
	run, err := m.t.Find(ctx, m.experiment, r.key)
	if err != nil {
		return err
	}
	if run == nil {
		if run, err = m.t.Create(ctx, m.experiment, r.name, r.start, append(r.key, r.tags...)); err != nil {
			return err
		}
	} else if run.Tags[wholeTag] != "" {
		m.sent.Before++
		if rest != nil {
			m.sent.Run = run.ID
		}
		return nil
	}
	if err := m.t.Log(ctx, run, r.params, r.metrics, nil); err != nil {
		return err
	}
	if rest != nil {
		if err := rest(run); err != nil {
			return err
		}
	}
	if err := m.t.End(ctx, run, r.status, r.end); err != nil {
		return err
	}
	m.sent.New++
	return m.t.Log(ctx, run, nil, nil, []Entry{{wholeTag, "yes"}})
}

// files uploads the files among the recipe's outputs.
func (m *exporter) files(ctx context.Context, run *Found, outputs []Value, fetch Fetch) error {
	for _, v := range outputs {
		err := eachFile(v.Value, v.Name, func(name string, f artifacts.File) error {
			from, err := fetch(ctx, f)
			if isOutside(err) {
				return nil
			} else if err != nil {
				return fmt.Errorf("output %s: %w", name, err)
			}
			return m.upload(ctx, run, name, f, from)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *exporter) upload(ctx context.Context, run *Found, name string, f artifacts.File, from string) error {
	if !f.Tree {
		return m.t.Upload(ctx, run, name+extension(f.Name), from)
	}
	return fs.WalkDir(os.DirFS(from), ".", func(inner string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return m.t.Upload(ctx, run, path.Join(name, inner), filepath.Join(from, filepath.FromSlash(inner)))
	})
}

// trackedRun is the run as MLflow sees it.
func trackedRun(r *Run) *tracked {
	t := &tracked{name: r.Recipe + " " + r.ID, key: []Entry{{runTag, r.ID}, {stepTag, "(all)"}}, status: runStatus(r.Status), start: r.Started, end: r.Ended}
	for _, l := range leaves(map[string]any(r.Variables), nil, "", "") {
		t.param(l)
	}
	for _, v := range r.Outputs {
		kind := pipeline.Provenance(pipeline.JoinKinds(v.Kinds))
		for _, l := range leaves(v.Value, nil, v.Name, kind) {
			t.metric(l, r.Ended)
		}
	}
	t.tag("mlflow.source.name", r.Recipe)
	t.tag("mlflow.source.type", "LOCAL")
	t.tag("mlflow.source.git.commit", r.Commit)
	t.tag("eyrie.command", strings.Join(r.Command, " "))
	t.tag("eyrie.version", r.Runner)
	t.tag("eyrie.host", r.Host)
	return t
}

// trackedStep is a step as MLflow sees it.
func trackedStep(r *Run, s *Step, parent string) *tracked {
	t := &tracked{name: s.ID, key: []Entry{{runTag, r.ID}, {stepTag, s.ID}}, status: stepStatus(s.Status), start: s.Started, end: s.ended()}
	if s.Started.IsZero() {
		t.start, t.end = r.Started, r.Started
	}
	for _, name := range sortedKeys(s.Attributes) {
		for _, l := range settings(s.Attributes[name], name) {
			t.param(l)
		}
	}
	for _, l := range leaves(s.output(), s.Type, "", "") {
		t.metric(l, t.end)
	}
	t.tag("mlflow.parentRunId", parent)
	t.tag("eyrie.block", s.Block)
	t.tag("eyrie.stage", s.Stage+" "+strconv.Itoa(s.Version))
	t.tag("eyrie.status", strings.TrimPrefix(string(s.Status), "step-"))
	t.tag("eyrie.made_by", s.MadeBy)
	t.tag("eyrie.adopted", s.Adopted)
	t.tag("eyrie.error", s.Error)
	if !s.Action.IsZero() {
		t.tag("eyrie.action", s.Action.String())
	}
	return t
}

// settings returns the leaves of an attribute. A list is one, as what it says is in all
// of it.
func settings(v any, path string) []leaf {
	m, ok := v.(map[string]any)
	if !ok {
		return []leaf{{path: path, value: v}}
	}
	if digest, file := artifacts.DigestIn(m); file {
		return []leaf{{path: path, value: "content " + digest}}
	}
	if pipeline.IsSensitive(m) {
		return []leaf{{path: path, value: "(sensitive)"}}
	}
	var all []leaf
	for _, name := range sortedKeys(m) {
		all = append(all, settings(m[name], join(path, name))...)
	}
	return all
}

func (t *tracked) param(l leaf) {
	t.params = append(t.params, Entry{trackedName(l.path), shortened(l.text(), mostParam)})
}

// metric adds a leaf that is a number.
func (t *tracked) metric(l leaf, at time.Time) {
	x, ok := l.number()
	if !ok {
		return
	}
	key := trackedName(l.path)
	t.metrics = append(t.metrics, Metric{key, x, at.UnixMilli(), int64(l.index)})
	if l.kind != "" && l.index == 0 {
		t.tag(shortened("provenance."+key, mostKey), string(l.kind))
	}
}

// tag adds a tag, unless it says nothing.
func (t *tracked) tag(key, value string) {
	if value != "" {
		t.tags = append(t.tags, Entry{key, shortened(value, mostTag)})
	}
}

// trackedName returns a name as MLflow takes it: letters and digits of any script, and
// _-. :/ in them.
func trackedName(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`_-. :/`, r) || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	return shortened(strings.Trim(name, "/."), mostKey)
}

// shortened cuts a text to a number of bytes, so that what was cut shows.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const mark = "…"
	return strings.ToValidUTF8(text[:most-len(mark)], "") + mark
}

func runStatus(s pipeline.Status) string {
	switch s {
	case pipeline.Succeeded:
		return "FINISHED"
	case pipeline.Failed:
		return "FAILED"
	}
	return "KILLED"
}

func stepStatus(s pipeline.EventType) string {
	switch s {
	case pipeline.StepDone, pipeline.StepCached:
		return "FINISHED"
	case pipeline.StepFailed:
		return "FAILED"
	}
	return "KILLED"
}
