package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

func (a *app) showCommand() *cobra.Command {
	var run string
	var cost bool
	cmd := &cobra.Command{
		Use:   "show RECIPE [STEP]",
		Short: "Show a step: its attributes and outputs, and where each came from; or a run",
		Long: `Show a step as the store has it: each attribute with where it was written and which
steps' outputs it came from, each output with how its numbers came about. With
--json, a line for each step, also with the preimage that names its action.

With --run, show the step as it was in a run; without a STEP the run itself: what it was
started with and where, what became of each step, and the recipe's outputs.

With --cost, show what each step has cost in a run, the last one without --run: time, CPU
time (user and system), GPUs as long as they were granted, the memory that the largest process
held, bytes that processes read and wrote, and bytes of the artifacts that it was given and
made, and of those that came from a cache or went to one. All attempts count, those that failed, too. A cached step is shown with what it cost
when it was made, and counts as saved.

  12 s    measured
  ≤ 24 s  granted: the CPUs that the step had, as long as it had them. Steps that run in the
          runner's own process cannot be told apart by the system; run --isolate measures them
  ≥ 12 s  measured in part: the programs that such a step ran, but not the stage itself; or all
          but what ran elsewhere, as a container does
  –       not known: an earlier version wrote the journal, the runner was killed, or the result
          was made in another store

` + namesHelp + "\n\n" + runHelp,
		Example: `  runner show paper.hcl train
  runner show paper.hcl --run last
  runner show paper.hcl --cost`,
		Args:              exactly("RECIPE", "[STEP]"),
		ValidArgsFunction: a.completeRecipe,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cost && !cmd.Flags().Changed("run") {
				run = "last"
			}
			if cost {
				return a.showCost(cmd.Context(), args[0], run, args[1:])
			}
			if cmd.Flags().Changed("run") {
				return a.showRun(cmd.Context(), args[0], run, args[1:])
			}
			if len(args) < 2 {
				return invalidf("%s: STEP is missing, or --run RUN, or --cost: %s", cmd.CommandPath(), cmd.UseLine())
			}
			var ids []string
			plan, store, err := a.prepareWith(cmd.Context(), args[0], a.hint, func(recipe *pipeline.Recipe, store *store.Store) (_ *pipeline.Plan, err error) {
				if ids, err = stepsNamed(recipe, args[1]); err != nil {
					return nil, invalid(err)
				}
				plan, err := pipeline.NewPlan(cmd.Context(), recipe, store, pipeline.PlanOptions{Targets: blocks(recipe, ids)})
				return a.made(cmd.Context(), plan, err)
			})
			if err != nil {
				return err
			}
			defer store.Close()
			for i, id := range ids {
				if i > 0 && !a.json {
					say(a.out, "")
				}
				if err := a.show(cmd.Context(), store, plan.Step(id)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&cost, "cost", false, "show what the steps have cost, in the last run or in --run")
	cmd.Flags().StringVar(&run, "run", "", "show a `RUN`, or the step as it was in it")
	return cmd
}

// show prints a step.
func (a *app) show(ctx context.Context, store *store.Store, s *pipeline.Planned) error {
	doc, err := showDocument(ctx, store, s)
	if err != nil {
		return err
	}
	if a.json {
		return a.print("step", doc)
	}
	a.writeStep(s, doc)
	return nil
}

// showJSON is a step in full.
type showJSON struct {
	stepJSON
	StageVersion int             `json:"stage_version"`
	Preimage     json.RawMessage `json:"preimage,omitempty"` // what the action is the hash of
	Run          string          `json:"run,omitempty"`      // the run that made the result
	Started      *time.Time      `json:"started,omitempty"`
	Elapsed      float64         `json:"elapsed,omitempty"` // s
	Published    *store.Shared   `json:"published,omitempty"`
	Attributes   []attrJSON      `json:"attributes"`
	Outputs      []resultJSON    `json:"outputs"`
}

// attrJSON is an attribute with where it came from.
type attrJSON struct {
	Name      string            `json:"name"`
	Value     any               `json:"value"`
	Default   bool              `json:"default,omitempty"` // it is not written in the recipe
	Sensitive bool              `json:"sensitive,omitempty"`
	After     []string          `json:"after,omitempty"`
	Pos       string            `json:"pos,omitempty"`
	Origins   []pipeline.Origin `json:"origins,omitempty"`
}

// resultJSON is an output with how its numbers came about.
type resultJSON struct {
	Name       string                `json:"name"`
	Value      any                   `json:"value"` // null where it is sensitive
	Sensitive  bool                  `json:"sensitive,omitempty"`
	Provenance []pipeline.Provenance `json:"provenance,omitempty"`
}

func showDocument(ctx context.Context, store *store.Store, s *pipeline.Planned) (showJSON, error) {
	doc := showJSON{stepJSON: planned(s), StageVersion: s.Stage.Version,
		Attributes: []attrJSON{}, Outputs: []resultJSON{}}
	for i := range s.Stage.Config.Fields {
		if a, ok := attrDocument(ctx, store, s, &s.Stage.Config.Fields[i]); ok {
			doc.Attributes = append(doc.Attributes, a)
		}
	}
	r := s.Record
	if r == nil {
		return doc, nil
	}
	doc.Preimage, doc.Run, doc.Started, doc.Elapsed = r.Preimage, r.Run, &r.Started, r.Elapsed.Seconds()
	doc.Published = r.Shared
	var output map[string]any
	if err := json.Unmarshal(r.Output, &output); err != nil {
		return doc, fmt.Errorf("the output of step %s: %w", s.ID, err)
	}
	for i := range s.Stage.Output.Fields {
		f := &s.Stage.Output.Fields[i]
		if v, ok := output[f.Name]; ok {
			if s.Secret {
				v = nil
			}
			kinds := provenances(f)
			if r.Adopted != nil {
				kinds = []pipeline.Provenance{pipeline.Adopted}
			}
			doc.Outputs = append(doc.Outputs, resultJSON{f.Name, v, s.Secret, kinds})
		}
	}
	return doc, nil
}

// attrDocument describes an attribute, unless it is neither written nor has a
// default.
func attrDocument(ctx context.Context, store *store.Store, s *pipeline.Planned, f *pipeline.Field) (attrJSON, bool) {
	a, written := s.Attrs[f.Name]
	if !written {
		tree, err := jsonTree(f.Default)
		return attrJSON{Name: f.Name, Value: tree, Default: true}, err == nil && f.Default != nil
	}
	j := attrJSON{Name: f.Name, Sensitive: a.Sensitive, After: a.Unknown, Pos: a.Pos, Origins: a.Origins}
	if a.Sensitive {
		j.Origins = stepsOf(a.Origins)
	} else if len(a.Unknown) == 0 {
		j.Value = plain(ctx, store, a.Value)
	}
	return j, true
}

// stepsOf returns what may be shown of where a sensitive value came from: a source can be
// the secret itself, and a map's key within an output, too.
func stepsOf(origins []pipeline.Origin) (steps []pipeline.Origin) {
	for _, o := range origins {
		if from := (pipeline.Origin{Kind: o.Kind, Step: o.Step}); !slices.Contains(steps, from) {
			steps = append(steps, from)
		}
	}
	return steps
}

// provenances returns how the numbers in a field came about, sorted.
func provenances(f *pipeline.Field) []pipeline.Provenance {
	found := map[pipeline.Provenance]bool{f.Kind: true}
	var look func(t *pipeline.Type)
	look = func(t *pipeline.Type) {
		if t.Elem != nil {
			look(t.Elem)
		}
		for _, f := range t.Fields {
			found[f.Kind] = true
			look(f.Type)
		}
	}
	look(f.Type)
	var all []pipeline.Provenance
	for p := range found {
		if p != "" {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}

// writeStep prints a step for people.
func (a *app) writeStep(s *pipeline.Planned, doc showJSON) {
	y := a.style(a.out)
	_, text := verdict(y, s)
	say(a.out, "%s  %s version %d  %s", y.Bold(s.ID), s.Stage.Name, s.Stage.Version, s.Pos)
	say(a.out, "%s", text)
	if !s.Action.IsZero() {
		say(a.out, "action %s", s.Action)
	}
	if doc.Adopted != nil {
		say(a.out, "by runner %s; its stage did not run", doc.Adopted.Runner)
	} else if doc.Started != nil {
		say(a.out, "run %s, %s, took %s", doc.Run, doc.Started.Local().Format(time.DateTime), view.Seconds(doc.Elapsed))
	}
	if p := doc.Published; p != nil {
		say(a.out, "%s", publisherText(p))
	}
	var rows [][3]string
	for _, at := range doc.Attributes {
		rows = append(rows, [3]string{at.Name, attrText(at), originText(at)})
	}
	a.writeRows("Attributes", rows)
	rows = nil
	for _, o := range doc.Outputs {
		kinds := make([]string, len(o.Provenance))
		for i, p := range o.Provenance {
			kinds[i] = string(p)
		}
		text := brief(o.Value, 60)
		if o.Sensitive {
			text = "(sensitive)"
		}
		rows = append(rows, [3]string{o.Name, text, strings.Join(kinds, ", ")})
	}
	a.writeRows("Outputs", rows)
	for _, o := range doc.Outputs {
		if texts := sentences(o.Value); len(texts) > 0 {
			say(a.out, "\n%s", y.Bold(o.Name))
			for _, text := range texts {
				say(a.out, "%s", wrap(text, "  ", a.columns()))
			}
		}
	}
}

// publisherText says who has published a result that was found in a cache.
func publisherText(p *store.Shared) string {
	text := fmt.Sprintf("published by %s on %s, runner %s", p.By, p.Host, p.Runner)
	if p.Key != "" {
		text += ", signed by " + p.Key
	}
	return text
}

// sentences returns the texts of an output that is a list of texts, and says
// more than fits in a row: it is printed in full.
func sentences(value any) []string {
	list, _ := value.([]any)
	var texts []string
	long := false
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			return nil
		}
		texts = append(texts, text)
		long = long || len(text) > 60 && strings.Contains(text, " ")
	}
	if !long {
		return nil
	}
	return texts
}

func (a *app) writeRows(title string, rows [][3]string) {
	if len(rows) == 0 {
		return
	}
	y := a.style(a.out)
	var names, values []string
	for _, r := range rows {
		names, values = append(names, r[0]), append(values, r[1])
	}
	nameWidth := view.Width(40, names...)
	valueWidth := view.Width(max(20, a.columns()-nameWidth-28), values...) // leaving room for where it came from
	say(a.out, "\n%s", y.Bold(title))
	for _, r := range rows {
		line := fmt.Sprintf("  %s  %s  %s", view.Pad(r[0], nameWidth), view.Pad(view.Cut(r[1], valueWidth), valueWidth), y.Dim(r[2]))
		say(a.out, "%s", strings.TrimRight(line, " "))
	}
}

func attrText(a attrJSON) string {
	switch {
	case a.Sensitive:
		return "(sensitive)"
	case len(a.After) > 0:
		return "(known after " + view.Few(a.After, ", ") + ")"
	}
	return brief(a.Value, 60)
}

// originText says where an attribute was written, and the outputs (each as a
// whole) and sources that its value came from.
func originText(a attrJSON) string {
	if a.Default {
		return "default"
	}
	text := a.Pos
	var from []string
	for _, o := range a.Origins {
		switch {
		case o.Step != "":
			output, _, _ := strings.Cut(o.Output, ".")
			output, _, _ = strings.Cut(output, "[")
			from = append(from, strings.TrimSuffix(o.Step+"."+output, "."))
		case o.Source != "":
			from = append(from, fmt.Sprintf("%s: %s", o.Kind, o.Source))
		}
	}
	slices.Sort(from)
	if from = slices.Compact(from); len(from) > 0 {
		text += "  ← " + view.Few(from, ", ")
	}
	return text
}
