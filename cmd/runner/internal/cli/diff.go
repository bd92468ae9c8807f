package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff RECIPE RUN RUN",
		Short: "Tell what differs between two runs",
		Long: `Tell what differs between two runs: the recipe's text, the variables, the machine, then
for each step that did another action its attributes, its outputs and how long it took,
and the recipe's outputs. Numbers are given with their change, files by their digest.

` + runHelp,
		Example:           `  runner diff paper.hcl last~1 last`,
		Args:              exactly("RECIPE", "RUN", "RUN"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.past(args[0])
			if err != nil {
				return err
			}
			defer p.Close()
			old, err := p.find(args[1])
			if err != nil {
				return err
			}
			new, err := p.find(args[2])
			if err != nil {
				return err
			}
			doc := runDiff(cmd.Context(), p, old, new)
			if a.json {
				return a.print("diff", doc)
			}
			a.writeDiff(doc)
			return nil
		},
	}
}

// diffJSON is what differs between two runs.
type diffJSON struct {
	Old       runJSON          `json:"old"`
	New       runJSON          `json:"new"`
	Recipe    string           `json:"recipe,omitempty"`  // a unified diff of its text
	NoText    []string         `json:"no_text,omitempty"` // runs whose journal lacks the text
	Machine   []variableChange `json:"machine,omitempty"`
	Variables []variableChange `json:"variables,omitempty"`
	Steps     []stepDiff       `json:"steps,omitempty"`
	Outputs   []leafChange     `json:"outputs,omitempty"`
}

// stepDiff is a step that did another action, or is in one of the runs alone.
type stepDiff struct {
	Step       string            `json:"step"`
	Only       string            `json:"only,omitempty"` // the run that has it
	Gone       []string          `json:"gone,omitempty"` // runs whose record of it is no longer in the store
	State      *variableChange   `json:"state,omitempty"`
	Attributes []pipeline.Reason `json:"attributes,omitempty"`
	Outputs    []leafChange      `json:"outputs,omitempty"`
	Sensitive  bool              `json:"sensitive,omitempty"` // its outputs are not shown
	Elapsed    *leafChange       `json:"elapsed,omitempty"`   // s
}

func runDiff(ctx context.Context, p *past, old, new *history.Run) diffJSON {
	doc := diffJSON{Old: newRunJSON(&old.Summary), New: newRunJSON(&new.Summary), Machine: machineChanges(old.Header, new.Header)}
	doc.Recipe, doc.NoText = textDiff(old, new)
	if old.Header != nil && new.Header != nil {
		doc.Variables = changedVariables(old.Header.Variables, new.Header.Variables)
	}
	for _, s := range new.Steps {
		if d, differs := diffStep(ctx, p, old, new, old.Step(s.ID), s); differs {
			doc.Steps = append(doc.Steps, d)
		}
	}
	for _, s := range old.Steps {
		if new.Step(s.ID) == nil {
			doc.Steps = append(doc.Steps, stepDiff{Step: s.ID, Only: old.ID})
		}
	}
	doc.Outputs = changesOf(outputsOf(old), outputsOf(new))
	cameAbout(doc.Outputs, outputKinds(old), outputKinds(new))
	return doc
}

// outputsOf returns the recipe's outputs that a run knew as an object.
func outputsOf(r *history.Run) []byte {
	all := make(map[string]json.RawMessage)
	for _, o := range r.Outputs {
		switch {
		case o.Sensitive || len(o.After) > 0:
		case o.Digest != nil:
			all[o.Name], _ = json.Marshal("content " + o.Digest.String()[:12])
		default:
			all[o.Name] = o.Value
		}
	}
	b, _ := json.Marshal(all)
	return b
}

// outputKinds tells how the numbers among the recipe's outputs came about in a run.
func outputKinds(r *history.Run) func(path string) []pipeline.Provenance {
	return func(path string) []pipeline.Provenance {
		for _, o := range r.Outputs {
			if rest, is := strings.CutPrefix(path, o.Name); is && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				return pipeline.Kinds(originsAt(o.Origins, strings.TrimPrefix(rest, ".")))
			}
		}
		return nil
	}
}

// textDiff returns a unified diff of the recipe's files, and the runs that have no text.
func textDiff(old, new *history.Run) (text string, without []string) {
	for _, r := range []*history.Run{old, new} {
		if len(r.Files) == 0 || slices.ContainsFunc(r.Files, pipeline.Text.Left) {
			without = append(without, r.ID)
		}
	}
	var names []string
	texts := func(r *history.Run) map[string]pipeline.Text {
		m := make(map[string]pipeline.Text)
		for _, t := range r.Files {
			if m[t.Name] = t; !slices.Contains(names, t.Name) {
				names = append(names, t.Name)
			}
		}
		return m
	}
	before, after := texts(old), texts(new)
	for _, name := range names {
		b, a := before[name], after[name]
		if b.Digest == a.Digest {
			continue
		}
		_, lines, _ := strings.Cut(string(diff.Diff("old/"+name, []byte(b.Text), "new/"+name, []byte(a.Text))), "\n")
		text += lines
	}
	return text, without
}

// machineChanges compares where two runs ran.
func machineChanges(old, new *pipeline.Header) []variableChange {
	if old == nil || new == nil {
		return nil
	}
	commit := func(h *pipeline.Header) string {
		switch {
		case h.Git == nil:
			return ""
		case h.Git.Modified:
			return h.Git.Commit + ", modified"
		}
		return h.Git.Commit
	}
	var all []variableChange
	for _, c := range []variableChange{
		{"runner", old.Runner, new.Runner}, {"go", old.Go, new.Go}, {"platform", old.Platform, new.Platform},
		{"host", old.Host, new.Host}, {"git", commit(old), commit(new)},
	} {
		if c.Old != c.New {
			all = append(all, c)
		}
	}
	return all
}

// diffStep compares what a step did in two runs.
func diffStep(ctx context.Context, p *past, oldRun, newRun *history.Run, old, new *history.Step) (d stepDiff, differs bool) {
	d.Step = new.ID
	if old == nil {
		d.Only = newRun.ID
		return d, true
	}
	known := func(s *history.Step) bool { return s.Type == pipeline.StepDone || s.Type == pipeline.StepCached }
	if known(old) != known(new) || !known(old) && old.Type != new.Type {
		d.State = &variableChange{"state", stateOf(old.Type), stateOf(new.Type)}
	}
	if old.Action == new.Action || old.Action.IsZero() || new.Action.IsZero() {
		return d, d.State != nil
	}
	was, _ := p.Lookup(ctx, old.Action) // the records will do, also if their objects are gone
	is, _ := p.Lookup(ctx, new.Action)
	if was.Preimage == nil && known(old) {
		d.Gone = append(d.Gone, oldRun.ID)
	}
	if is.Preimage == nil && known(new) {
		d.Gone = append(d.Gone, newRun.ID)
	}
	if was.Preimage == nil || is.Preimage == nil {
		return d, true
	}
	d.compare(p, was, is)
	return d, true
}

func (d *stepDiff) compare(p *past, was, is store.Record) {
	d.Attributes = pipeline.Differences(was.Preimage, is.Preimage, nil)
	before, _ := pipeline.ReadKey(was.Preimage) // which Lookup has verified
	after, _ := pipeline.ReadKey(is.Preimage)
	if d.Sensitive = before.Secret() || after.Secret(); !d.Sensitive {
		d.Outputs = changesOf(was.Output, is.Output)
		cameAbout(d.Outputs, kindsIn(resultType(p.stages, was)), kindsIn(resultType(p.stages, is)))
	}
	elapsed := newChange("", was.Elapsed.Seconds(), is.Elapsed.Seconds())
	d.Elapsed = &elapsed
}

// mostChanges is how many differences of a step are shown, unless --verbose.
const mostChanges = 12

// writeDiff prints what differs for people.
func (a *app) writeDiff(doc diffJSON) {
	y := a.style(a.out)
	for _, r := range []struct {
		sign string
		run  runJSON
	}{{"-", doc.Old}, {"+", doc.New}} {
		say(a.out, "%s %s  %s  %s, %s", r.sign, y.Bold(r.run.Run), when(r.run.Started), r.run.Status, view.Seconds(r.run.Elapsed))
	}
	for _, id := range doc.NoText {
		say(a.out, "the journal of run %s does not have the recipe's text", id)
	}
	if len(doc.NoText) == 0 {
		a.section("Recipe", strings.Split(strings.TrimSuffix(doc.Recipe, "\n"), "\n"), doc.Recipe != "")
	}
	a.section("Variables", changeLines(doc.Variables), len(doc.Variables) > 0)
	a.section("Machine", changeLines(doc.Machine), len(doc.Machine) > 0)
	if len(doc.Steps) > 0 {
		say(a.out, "\n%s", y.Bold("Steps"))
	}
	for _, d := range doc.Steps {
		a.writeStepDiff(d)
	}
	var lines []string
	for _, c := range doc.Outputs {
		lines = append(lines, c.String())
	}
	a.section("Outputs", lines, len(lines) > 0)
	if doc.Recipe == "" && len(doc.Variables)+len(doc.Machine)+len(doc.Steps)+len(doc.Outputs) == 0 {
		say(a.out, "nothing differs")
	}
}

func (a *app) section(title string, lines []string, there bool) {
	if !there {
		return
	}
	say(a.out, "\n%s", a.style(a.out).Bold(title))
	for _, line := range lines {
		say(a.out, "  %s", line)
	}
}

func changeLines(all []variableChange) []string {
	var lines []string
	for _, c := range all {
		lines = append(lines, c.Name+": "+changeText(c.Old, c.New))
	}
	return lines
}

func (a *app) writeStepDiff(d stepDiff) {
	line := "  " + a.style(a.out).Bold(d.Step)
	if d.Only != "" {
		say(a.out, "%s  only in run %s", line, d.Only)
		return
	}
	if d.State != nil {
		line += "  " + changeText(d.State.Old, d.State.New)
	}
	if e := d.Elapsed; e != nil {
		line += fmt.Sprintf("  took %s → %s", view.Seconds(e.Old.(float64)), view.Seconds(e.New.(float64)))
	}
	say(a.out, "%s", line)
	for _, id := range d.Gone {
		say(a.out, "    what it did in run %s is no longer in the store", id)
	}
	for _, r := range d.Attributes[:a.shown(len(d.Attributes))] {
		say(a.out, "    %s", r)
	}
	if n := len(d.Attributes) - mostChanges; n > 0 && !a.verbose {
		say(a.out, "    … and %s more (-v shows all)", view.Count(n, "attribute"))
	}
	if d.Sensitive {
		say(a.out, "    = (sensitive)")
	}
	for _, c := range d.Outputs[:a.shown(len(d.Outputs))] {
		say(a.out, "    = %s", c)
	}
	if n := len(d.Outputs) - mostChanges; n > 0 && !a.verbose {
		say(a.out, "    … and %s more (-v shows all)", view.Count(n, "output"))
	}
}

// shown returns how many of n differences are shown.
func (a *app) shown(n int) int {
	if a.verbose {
		return n
	}
	return min(n, mostChanges)
}
