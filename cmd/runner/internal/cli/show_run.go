package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

// showRun prints a run, or steps as they were in it.
func (a *app) showRun(ctx context.Context, path, name string, step []string) error {
	p, err := a.past(path)
	if err != nil {
		return err
	}
	defer p.Close()
	r, err := p.find(name)
	if err != nil {
		return err
	}
	if len(step) == 0 {
		if a.json {
			return a.print("run", newRunInFull(r))
		}
		a.writeRun(r)
		return nil
	}
	steps, err := stepsIn(r, step[0])
	if err != nil {
		return err
	}
	for i, s := range steps {
		doc := runStep(ctx, p, r, s)
		if a.json {
			if err := a.print("step", doc); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			say(a.out, "")
		}
		a.writeRunStep(doc)
	}
	return nil
}

// runInFull is a run with all that its journal has but logs.
type runInFull struct {
	runJSON
	Files  []pipeline.Text       `json:"files,omitempty"`
	Values []pipeline.OutputNote `json:"values,omitempty"` // of the recipe's outputs
	States []runStepJSON         `json:"states"`
}

// runStepJSON is a step as it was in a run.
type runStepJSON struct {
	Run        string            `json:"run"`
	Step       string            `json:"step"`
	Stage      string            `json:"stage,omitempty"`
	Pos        string            `json:"pos,omitempty"`
	State      string            `json:"state"` // ran, cached, failed, stopped, skipped, waiting or running
	Action     string            `json:"action,omitempty"`
	Reasons    []pipeline.Reason `json:"reasons,omitempty"`
	Sources    []pipeline.Source `json:"sources,omitempty"`
	Resumed    bool              `json:"resumed,omitempty"`
	Started    *time.Time        `json:"started,omitempty"`
	Elapsed    float64           `json:"elapsed,omitempty"` // s
	Retries    []string          `json:"retries,omitempty"` // the errors of attempts that another followed
	Error      string            `json:"error,omitempty"`
	Stack      string            `json:"stack,omitempty"`
	After      []string          `json:"after,omitempty"`
	Made       string            `json:"made,omitempty"` // of one that was cached: the run that made its result
	Gone       bool              `json:"gone,omitempty"` // its record is no longer in the store
	Attributes json.RawMessage   `json:"attributes,omitempty"`
	Output     json.RawMessage   `json:"output,omitempty"` // not of one that is sensitive

	Provenance map[string][]pipeline.Provenance `json:"provenance,omitempty"` // of the numbers in each output
}

func newRunInFull(r *history.Run) runInFull {
	doc := runInFull{newRunJSON(&r.Summary), r.Files, r.Outputs, []runStepJSON{}}
	for _, s := range r.Steps {
		doc.States = append(doc.States, newRunStep(r, s))
	}
	return doc
}

func newRunStep(r *history.Run, s *history.Step) runStepJSON {
	doc := runStepJSON{Run: r.ID, Step: s.ID, Stage: s.Stage, Pos: s.Pos, State: stateOf(s.Type), Reasons: s.Reasons, Sources: s.Sources,
		Resumed: s.Resumed, Elapsed: s.Elapsed.Seconds(), Error: s.Error, Stack: s.Stack, After: s.After}
	if !s.Action.IsZero() {
		doc.Action = s.Action.String()
	}
	if !s.Started.IsZero() {
		doc.Started = &s.Started
	}
	for _, try := range s.Attempts {
		doc.Retries = append(doc.Retries, try.Error)
	}
	return doc
}

// runStep is a step with what the store still has of it.
func runStep(ctx context.Context, p *past, r *history.Run, s *history.Step) runStepJSON {
	doc := newRunStep(r, s)
	if s.Action.IsZero() {
		return doc
	}
	record, _ := p.Lookup(ctx, s.Action) // the record will do, also if its objects are gone
	key, err := pipeline.ReadKey(record.Preimage)
	if doc.Gone = err != nil; doc.Gone {
		return doc
	}
	doc.Attributes, doc.Stage = attributesOf(record), key.Stage
	if s.Type == pipeline.StepCached {
		doc.Made = record.Run
	}
	if !key.Secret() {
		doc.Output = record.Output
		doc.Provenance = fieldKinds(resultType(p.stages, record))
	}
	return doc
}

// writeRun prints a run for people.
func (a *app) writeRun(r *history.Run) {
	y := a.style(a.out)
	say(a.out, "%s  %s  %s", y.Bold(r.ID), r.Recipe, statusText(y, r.Status))
	took := view.Duration(r.Elapsed())
	if r.Status == history.Running {
		took = view.Duration(time.Since(r.Started)) + " so far"
	}
	say(a.out, "%s, %s", when(r.Started), took)
	a.writeHeader(r.Header)
	a.writeStates(r)
	if len(r.Outputs) > 0 {
		say(a.out, "\n%s", y.Bold("Outputs"))
	}
	var names []string
	for _, o := range r.Outputs {
		names = append(names, o.Name)
	}
	width := view.Width(40, names...)
	for _, o := range r.Outputs {
		line := fmt.Sprintf("  %s = %s", view.Pad(o.Name, width), noteText(o, max(20, a.columns()-width-20)))
		if kinds := pipeline.JoinKinds(pipeline.Kinds(o.Origins)); kinds != "" {
			line += "  " + y.Dim(kinds)
		}
		say(a.out, "%s", line)
	}
}

func statusText(y view.Style, s pipeline.Status) string {
	switch s {
	case pipeline.Succeeded:
		return y.Green(string(s))
	case pipeline.Failed, history.Killed:
		return y.Red(string(s))
	}
	return y.Yellow(string(s))
}

// noteText returns an output's value on a line.
func noteText(o pipeline.OutputNote, width int) string {
	switch {
	case o.Sensitive:
		return "(sensitive)"
	case len(o.After) > 0:
		return "(known after " + view.Few(o.After, ", ") + ")"
	case o.Digest != nil:
		return "(too long for the journal: " + o.Digest.String()[:12] + ")"
	}
	var tree any
	if json.Unmarshal(o.Value, &tree) != nil {
		return ""
	}
	return brief(tree, width)
}

func (a *app) writeHeader(h *pipeline.Header) {
	if h == nil {
		say(a.out, "(the journal has no header: an earlier version wrote it)")
		return
	}
	line := func(name, text string) {
		if text != "" {
			say(a.out, "%s  %s", view.Pad(name, 9), text)
		}
	}
	line("command", shellWords(h.Command))
	for i, v := range h.Variables {
		name := "variables"
		if i > 0 {
			name = ""
		}
		text := v.Name + " = " + variableText(v)
		if !v.Given {
			text += "  " + a.style(a.out).Dim("default")
		}
		line(name, text)
	}
	var parts []string
	for _, p := range []string{h.Runner, h.Go, h.Platform} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	line("runner", strings.Join(parts, ", "))
	if h.Host != "" {
		line("host", h.Host+", "+view.Count(h.CPUs, "CPU"))
	}
	if g := h.Git; g != nil {
		text := g.Commit
		if g.Modified {
			text += ", modified"
		}
		line("git", text)
	}
	line("store", h.Store)
}

// shellWords writes a command line as a shell reads it.
func shellWords(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
			words[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// writeStates prints what became of each step. Of many, those that were cached are counted.
func (a *app) writeStates(r *history.Run) {
	rows := [][]string{{"STEP", "STAGE", "STATE", "TOOK", "WHY"}}
	cached := 0
	for _, s := range r.Steps {
		if s.Type == pipeline.StepCached && len(r.Steps) > many && !a.verbose {
			cached++
			continue
		}
		took := ""
		if s.Type != pipeline.StepCached && !s.Ended.IsZero() && !s.Started.IsZero() {
			took = view.Duration(s.Elapsed)
		}
		rows = append(rows, []string{s.ID, s.Stage, stateOf(s.Type), took, view.Cut(whyText(s), 80)})
	}
	if len(rows) > 1 {
		say(a.out, "")
		a.table(rows, 3)
	}
	if cached > 0 {
		say(a.out, "and %s cached (-v shows them)", view.Count(cached, "step"))
	}
}

// whyText says why a step failed, or else why it ran.
func whyText(s *history.Step) string {
	switch {
	case s.Error != "":
		line, _, _ := strings.Cut(s.Error, "\n")
		return line
	case len(s.After) > 0:
		return "after " + view.Few(s.After, ", ")
	case len(s.Reasons) > 0:
		return view.Reasons(s.Reasons, s.Resumed)
	}
	return ""
}

// writeRunStep prints a step as it was in a run.
func (a *app) writeRunStep(doc runStepJSON) {
	y := a.style(a.out)
	say(a.out, "%s", strings.TrimRight(y.Bold(doc.Step)+"  "+doc.Stage+"  "+doc.Pos, " "))
	line := doc.State + " in run " + doc.Run
	if doc.Made != "" {
		line += ": made in run " + doc.Made
	}
	if doc.Started != nil {
		line += ", " + when(*doc.Started)
	}
	if doc.Elapsed > 0 {
		line += ", took " + view.Seconds(doc.Elapsed)
	}
	say(a.out, "%s", line)
	if doc.Action != "" {
		say(a.out, "action %s", doc.Action)
	}
	if len(doc.Reasons) > 0 {
		say(a.out, "why  %s", view.Reasons(doc.Reasons, doc.Resumed))
	}
	for i, text := range doc.Retries {
		say(a.out, "attempt %d failed: %s", i+1, text)
	}
	if doc.Error != "" {
		say(a.out, "%s%s", y.Red("error: "), doc.Error)
	}
	if len(doc.After) > 0 {
		say(a.out, "after %s", strings.Join(doc.After, ", "))
	}
	switch {
	case doc.Gone && (doc.State == "ran" || doc.State == "cached"):
		say(a.out, "its record is no longer in the store: attributes and outputs are not known")
	case !doc.Gone && doc.Action != "":
		a.writeObject("Attributes", doc.Attributes)
		if doc.Output == nil {
			say(a.out, "\n%s\n  (sensitive)", y.Bold("Outputs"))
		} else {
			a.writeResult(doc)
		}
	}
}

// writeObject prints the members of an object in a key or a record.
func (a *app) writeObject(title string, object json.RawMessage) {
	if string(object) != "{}" && len(object) > 0 {
		say(a.out, "\n%s", a.style(a.out).Bold(title))
		a.writeKey(object)
	}
}

// writeResult prints a step's outputs, each with how its numbers came about.
func (a *app) writeResult(doc runStepJSON) {
	var outputs map[string]any
	if json.Unmarshal(doc.Output, &outputs) != nil {
		return
	}
	var rows [][3]string
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		rows = append(rows, [3]string{name, brief(outputs[name], 60), pipeline.JoinKinds(doc.Provenance[name])})
	}
	a.writeRows("Outputs", rows)
}
