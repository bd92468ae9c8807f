package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/explain"
	"eyrie/pipeline/history"
)

func (a *app) explainCommand() *cobra.Command {
	var run string
	cmd := &cobra.Command{
		Use:   "explain RECIPE STEP",
		Short: "Tell why a step is cached, or why it runs: back to the input that changed",
		Long: `Tell why a step is cached: which run made its result, when, and of what. Or why it
runs: which of its attributes differ from what it did last, and where that came from,
across steps, back to the file, with the line and column, or to the recipe's own
text. Of a step that waits for others, tell which of its attributes do, and why the
others run. Nothing is run, and nothing written.

With --run, tell it of a run that is over: why the step ran then, or was cached.

` + namesHelp + "\n\n" + runHelp,
		Example: `  runner explain paper.hcl table
  runner explain paper.hcl 'train[a]' --run last`,
		Args:              exactly("RECIPE", "STEP"),
		ValidArgsFunction: a.completeRecipe,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("run") {
				return a.explainRun(cmd.Context(), args[0], args[1], run)
			}
			return a.explainPlan(cmd.Context(), args[0], args[1])
		},
	}
	cmd.Flags().StringVar(&run, "run", "", "explain what the step did in this `RUN`")
	return cmd
}

// explained is what is told of a step.
type explained struct {
	Step     string           `json:"step"`
	Stage    string           `json:"stage,omitempty"`
	Pos      string           `json:"pos,omitempty"`
	Verdict  string           `json:"verdict"` // cached, run or unknown; of a run: ran, cached, failed, …
	Action   string           `json:"action,omitempty"`
	Made     *maker           `json:"made,omitempty"`      // of a result that is there
	Since    string           `json:"since,omitempty"`     // the run that it is compared with
	Now      string           `json:"now,omitempty"`       // the run that is explained; "" for the plan
	Variable []variableChange `json:"variables,omitempty"` // that changed in between
	Reads    []string         `json:"reads,omitempty"`     // likewise, files that functions of the recipe read
	Why      *explain.Why     `json:"why,omitempty"`
	Key      json.RawMessage  `json:"key,omitempty"` // the attributes of what is cached
}

// maker says who made a result.
type maker struct {
	Run     string    `json:"run"`
	Step    string    `json:"step"`
	Started time.Time `json:"started"`
	Elapsed float64   `json:"elapsed"` // s

	Adopted *store.Adopted `json:"adopted,omitempty"` // no run made it
}

// explainPlan explains steps as they are planned.
func (a *app) explainPlan(ctx context.Context, path, step string) error {
	var ids []string
	plan, kept, err := a.prepareWith(ctx, path, a.hint, func(recipe *pipeline.Recipe, store *store.Store) (_ *pipeline.Plan, err error) {
		if ids, err = stepsNamed(recipe, step); err != nil {
			return nil, invalid(err)
		}
		plan, err := pipeline.NewPlan(ctx, recipe, store, pipeline.PlanOptions{Targets: blocks(recipe, ids)})
		return a.made(ctx, plan, err)
	})
	if err != nil {
		return err
	}
	defer kept.Close()
	e := explainer{ctx, kept, explain.NewJournals(ctx, kept), plan.Recipe.Name, a.reads.named(plan.Recipe, a.varFiles)}
	return a.writeExplained(ids, func(id string) explained { return e.planned(plan, plan.Step(id)) })
}

// explainRun explains steps as they were in a run.
func (a *app) explainRun(ctx context.Context, path, step, name string) error {
	p, err := a.past(path)
	if err != nil {
		return err
	}
	defer p.Close()
	run, err := p.find(name)
	if err != nil {
		return err
	}
	steps, err := stepsIn(run, step)
	if err != nil {
		return err
	}
	var ids []string
	for _, s := range steps {
		ids = append(ids, s.ID)
	}
	e := explainer{ctx, p.Store, explain.NewJournals(ctx, p.Store), run.Recipe, nil}
	return a.writeExplained(ids, func(id string) explained { return e.ran(run, run.Step(id)) })
}

func (a *app) writeExplained(ids []string, of func(id string) explained) error {
	for i, id := range ids {
		doc := of(id)
		if a.json {
			if err := a.print("explained", doc); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			say(a.out, "")
		}
		a.explained(doc)
	}
	return nil
}

// explainer explains the steps of one recipe.
type explainer struct {
	ctx      context.Context
	store    *store.Store
	journals *explain.Journals
	recipe   string
	reads    []pipeline.Source // of the recipe as it is now
}

// planned explains a step of a plan. One that is cached is explained by the run that made it.
func (e *explainer) planned(plan *pipeline.Plan, s *pipeline.Planned) explained {
	doc := explained{Step: s.ID, Stage: s.Stage.Name, Pos: s.Pos, Verdict: string(s.Verdict)}
	if !s.Action.IsZero() {
		doc.Action = s.Action.String()
	}
	if s.Record != nil {
		doc.made(*s.Record)
		if run := e.journals.Run(s.Record.Run); run != nil && run.Recipe == e.recipe {
			e.compare(&doc, run, s.ID)
		}
		return doc
	}
	then := explain.Moment(func(string) *explain.State { return nil })
	if before := e.journals.LastEnd(e.recipe, s.ID, ""); before != nil {
		then = e.journals.Moment(before)
		doc.since(before, &pipeline.Header{Variables: plan.Recipe.Variables, Reads: e.reads})
	}
	doc.Why = explain.Steps(e.ctx, e.store, then, explain.OfPlan(plan), s.ID)
	return doc
}

// ran explains a step of a run.
func (e *explainer) ran(run *history.Run, s *history.Step) explained {
	doc := explained{Step: s.ID, Stage: s.Stage, Pos: s.Pos, Verdict: stateOf(s.Type)}
	if s.Action.IsZero() {
		return doc
	}
	doc.Action = s.Action.String()
	if record, _ := e.store.Lookup(e.ctx, s.Action); record.Preimage != nil && s.Type == pipeline.StepCached {
		doc.made(record)
	}
	e.compare(&doc, run, s.ID)
	return doc
}

// compare explains what a step did in a run by the run before in which it came to its end.
func (e *explainer) compare(doc *explained, run *history.Run, id string) {
	then := explain.Moment(func(string) *explain.State { return nil })
	if before := e.journals.LastEnd(e.recipe, id, run.ID); before != nil {
		then = e.journals.Moment(before)
		doc.since(before, run.Header)
	}
	doc.Now = run.ID
	doc.Why = explain.Steps(e.ctx, e.store, then, e.journals.Moment(run), id)
}

func (doc *explained) made(r store.Record) {
	doc.Made = &maker{r.Run, r.Step, r.Started, r.Elapsed.Seconds(), r.Adopted}
	doc.Key = attributesOf(r)
}

// variableChange is a variable with another value than before.
type variableChange struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// since notes with which run a step is compared, and what else differs.
func (doc *explained) since(before *history.Run, now *pipeline.Header) {
	doc.Since = before.ID
	if before.Header == nil || now == nil {
		return
	}
	doc.Variable = changedVariables(before.Header.Variables, now.Variables)
	for _, is := range now.Reads {
		if slices.ContainsFunc(before.Header.Reads, func(was pipeline.Source) bool { return was.Path == is.Path && was.Object != is.Object }) {
			doc.Reads = append(doc.Reads, is.Path)
		}
	}
}

// changedVariables compares variables. Nobody can tell of sensitive ones whether they
// changed, and nothing is told of them.
func changedVariables(old, new []pipeline.Variable) []variableChange {
	texts := func(all []pipeline.Variable) map[string]string {
		m := make(map[string]string, len(all))
		for _, v := range all {
			if !v.Sensitive {
				m[v.Name] = variableText(v)
			}
		}
		return m
	}
	before, after := texts(old), texts(new)
	names := slices.Sorted(maps.Keys(after))
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := after[name]; !still {
			names = append(names, name)
		}
	}
	var all []variableChange
	for _, name := range names {
		if before[name] != after[name] {
			all = append(all, variableChange{name, before[name], after[name]})
		}
	}
	return all
}

// variableText returns a variable's value on a line.
func variableText(v pipeline.Variable) string {
	switch {
	case v.Sensitive:
		return "(sensitive)"
	case v.Digest != nil:
		return "value " + v.Digest.String()[:12]
	}
	var tree any
	if json.Unmarshal(v.Value, &tree) != nil {
		return string(v.Value)
	}
	return brief(tree, 60)
}

func changeText(old, new string) string {
	if old == "" {
		old = "(not set)"
	}
	if new == "" {
		new = "(not set)"
	}
	return old + " → " + new
}

// explained prints what is told of a step.
func (a *app) explained(doc explained) {
	y := a.style(a.out)
	say(a.out, "%s", strings.TrimRight(y.Bold(doc.Step)+"  "+doc.Stage+"  "+doc.Pos, " "))
	switch {
	case doc.Made != nil && doc.Made.Adopted != nil:
		say(a.out, "adopted  %s", adoptedText(doc.Made.Adopted))
	case doc.Made != nil:
		by := ""
		if doc.Made.Step != doc.Step {
			by = " as step " + doc.Made.Step
		}
		say(a.out, "cached: made in run %s%s, %s, in %s", doc.Made.Run, by, when(doc.Made.Started), view.Seconds(doc.Made.Elapsed))
	case doc.Verdict == string(pipeline.MustRun):
		say(a.out, "%s", y.Yellow("will run"))
	case doc.Verdict == string(pipeline.Unknown):
		say(a.out, "%s", y.Yellow("known after other steps have run"))
	default:
		say(a.out, "%s in run %s", doc.Verdict, doc.Now)
	}
	if doc.Action != "" {
		say(a.out, "action %s", doc.Action)
	}
	if doc.Made != nil {
		a.writeKey(doc.Key)
	}
	for _, v := range doc.Variable {
		say(a.out, "variable %s: %s, since run %s", v.Name, changeText(v.Old, v.New), doc.Since)
	}
	for _, path := range doc.Reads {
		say(a.out, "file %s, which the recipe reads, changed since run %s", nearby(path), doc.Since)
	}
	w := whyWriter{app: a, left: mostWhyLines}
	w.root(doc)
}

// writeKey prints the attributes of a key.
func (a *app) writeKey(key json.RawMessage) {
	var attrs map[string]any
	if json.Unmarshal(key, &attrs) != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		text := brief(attrs[name], 80)
		if pipeline.IsSensitive(attrs[name]) {
			text = "(sensitive)"
		}
		say(a.out, "  %s = %s", name, text)
	}
}

// mostWhyLines is how many lines an explanation has: people read no further, and programs
// have --json.
const mostWhyLines = 300

// whyWriter prints an explanation as a tree.
type whyWriter struct {
	*app
	left int // lines
}

func (w *whyWriter) line(depth int, format string, args ...any) {
	if w.left--; w.left == 0 {
		say(w.out, "… (all of it with --json)")
	}
	if w.left > 0 {
		say(w.out, "%s%s", strings.Repeat("  ", depth), fmt.Sprintf(format, args...))
	}
}

func (w *whyWriter) root(doc explained) {
	y := doc.Why
	if y == nil {
		return
	}
	ran := "it runs"
	if doc.Now != "" {
		ran = "in run " + doc.Now + " it was another action"
	}
	switch {
	case len(y.Changes) > 0:
		w.line(0, "%s than in run %s:", strings.Replace(ran, "it runs", "it is another action", 1), doc.Since)
	case y.Same && doc.Since != "" && doc.Now != "":
		w.line(0, "it did the same in run %s", doc.Since)
	}
	w.body(1, y)
}

// body prints what makes a step's action another one.
func (w *whyWriter) body(depth int, y *explain.Why) {
	for _, r := range y.Reasons {
		w.line(depth, "%s", r)
	}
	for _, c := range y.Changes {
		w.change(depth, c)
	}
	for _, wait := range y.Waits {
		if len(wait.For) == 1 {
			w.step(depth, wait.For[0], wait.Attr+" waits for "+wait.For[0].Step)
			continue
		}
		w.line(depth, "%s waits for", wait.Attr)
		for _, on := range wait.For {
			w.step(depth+1, on, on.Step)
		}
	}
}

// change prints an attribute that differs, and where that came from.
func (w *whyWriter) change(depth int, c explain.Change) {
	pos := ""
	if c.Pos != "" && len(c.From) == 0 && c.As == "" {
		pos = "  " + w.style(w.out).Dim(c.Pos)
	}
	w.line(depth, "%s%s", c.Reason, pos)
	for _, f := range c.Files {
		w.line(depth+1, "file %s: %s → %s", nearby(f.Path), f.Old.String()[:12], f.New.String()[:12])
		for _, what := range f.What {
			w.line(depth+2, "%s", what)
		}
		if f.More > 0 {
			w.line(depth+2, "and %s more", view.Count(f.More, "difference"))
		}
	}
	if c.As != "" {
		w.line(depth+1, "from the same as %s", c.As)
	}
	for _, e := range c.From {
		name := e.Step
		if e.Output != "" {
			name += "." + e.Output
		}
		text := "from " + name
		if e.Perhaps {
			text = "perhaps by way of " + name + ", which changed"
		}
		if e.Old != "" || e.New != "" {
			text += ": " + changeText(e.Old, e.New)
		}
		w.step(depth+1, e.Why, text)
	}
}

// nearby returns a path as it is seen from this directory, if it is below.
func nearby(path string) string {
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// step prints a step that others came from, and goes on into it.
func (w *whyWriter) step(depth int, y *explain.Why, text string) {
	switch {
	case y == nil:
	case y.Again:
		text += " (see above)"
	case y.Further:
		text += " (explain it by itself: this is long)"
	case y.Same && len(y.Reasons) == 0:
		text += " (the same action as before)"
	case y.Same:
		text += ", which runs again"
	case len(y.Waits) > 0:
		text += ", whose"
	case len(y.Changes) > 0:
		text += ", as its"
	case len(y.Reasons) > 0:
		text += ", which runs:"
	}
	w.line(depth, "%s", text)
	if y != nil {
		w.body(depth+1, y)
	}
}
