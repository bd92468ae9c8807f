package cli

import (
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

func (a *app) planCommand() *cobra.Command {
	var opt pipeline.PlanOptions
	var out string
	cmd := &cobra.Command{
		Use:   "plan RECIPE",
		Short: "Show what run would do, and why",
		Long: `Show what run would do, and why. Nothing is run, and nothing written but the digests
of inputs that took long to read, so that run need not read them again.

The last line says how long the steps that run are likely to take, and how many CPU and GPU
hours where these are worth a word, by what they took in the recipe's last runs. "At most"
stands where what they were granted is known and no more (see runner help show, --cost).
What never ran is counted, not guessed.

With --out the plan is saved to a file, which run RECIPE --plan FILE does exactly. It
refuses where anything has changed since: the recipe's text, a variable, a stage's version,
an input, or what is in the store. The file has no values of variables, but salted digests.`,
		Args:              exactly("RECIPE"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.Accept = a.accept
			plan, store, err := a.prepare(cmd.Context(), args[0], opt, a.hint)
			if err != nil {
				return err
			}
			defer store.Close()
			if out != "" {
				if err := savePlan(out, plan, opt); err != nil {
					return err
				}
			}
			e := a.expect(plan, store)
			if a.json {
				doc := planDocument(plan)
				doc.expect(plan, e)
				return a.print("plan", doc)
			}
			writePlan(a.out, a.style(a.out), plan, a.verbose)
			if text := e.text(); text != "" {
				say(a.out, "%s", text)
			}
			return nil
		},
	}
	a.planFlags(cmd, &opt)
	cmd.Flags().StringVar(&out, "out", "", "save the plan to this `file`, for run --plan")
	return cmd
}

// planFlags adds the flags that say which steps.
func (a *app) planFlags(cmd *cobra.Command, opt *pipeline.PlanOptions) {
	cmd.Flags().StringArrayVar(&opt.Targets, "target", nil, "only this `step` and what it needs, such as train, each[a] or found*; may be repeated")
	cmd.Flags().StringArrayVar(&opt.Rerun, "rerun", nil, "run this `step`, named in the same ways, though its result is cached; may be repeated")
}

// many is how many steps a plan may have before cached ones are only counted.
const many = 50

// writePlan writes a line for each step, and the count of each verdict.
func writePlan(w io.Writer, y view.Style, p *pipeline.Plan, verbose bool) {
	var shown []*pipeline.Planned
	for _, s := range p.Steps {
		if s.Verdict != pipeline.Cached || s.Record.Adopted != nil || verbose || len(p.Steps) <= many {
			shown = append(shown, s)
		}
	}
	writeVerdicts(w, y, shown)
	if len(shown) > 0 {
		say(w, "")
	}
	say(w, "%s", tally(p))
}

// writeMissing writes a line for each step without a result.
func writeMissing(w io.Writer, y view.Style, p *pipeline.Plan) {
	var missing []*pipeline.Planned
	for _, s := range p.Steps {
		if s.Verdict != pipeline.Cached {
			missing = append(missing, s)
		}
	}
	writeVerdicts(w, y, missing)
}

func writeVerdicts(w io.Writer, y view.Style, shown []*pipeline.Planned) {
	var ids, stages []string
	for _, s := range shown {
		ids, stages = append(ids, s.ID), append(stages, s.Stage.Name)
	}
	idWidth, stageWidth := view.Width(40, ids...), view.Width(24, stages...)
	for _, s := range shown {
		mark, text := verdict(y, s)
		if s.Place != "" && s.Verdict != pipeline.Cached {
			text += y.Dim("  on " + s.Place)
		}
		say(w, "%s %s  %s  %s", mark, y.Bold(view.Pad(s.ID, idWidth)), view.Pad(s.Stage.Name, stageWidth), text)
	}
}

// verdict words what the plan says of a step.
func verdict(y view.Style, s *pipeline.Planned) (mark, text string) {
	switch s.Verdict {
	case pipeline.Cached:
		if s.Record.Adopted != nil {
			return y.Yellow("="), y.Yellow("adopted") + "  " + adoptedText(s.Record.Adopted)
		}
		return y.Dim("="), y.Dim("cached")
	case pipeline.MustRun:
		return y.Yellow("+"), y.Yellow("run") + "  " + view.Reasons(s.Reasons, s.Resumes)
	}
	return "?", "known after " + view.Few(s.After, ", ")
}

// tally counts the verdicts: "4 cached, 2 to run (1 from a checkpoint), 3 known after".
func tally(p *pipeline.Plan) string {
	cached, run, unknown := p.Count(pipeline.Cached), p.Count(pipeline.MustRun), p.Count(pipeline.Unknown)
	toRun := "to run"
	if n := resumed(p); n > 0 {
		toRun += " (" + humanize.Comma(int64(n)) + " from a checkpoint)"
	}
	switch {
	case len(p.Steps) == 0:
		return "nothing to do: the recipe has no steps"
	case p.AllCached():
		return "nothing to do: " + view.Count(cached, "step") + " cached"
	}
	var parts []string
	for _, part := range []struct {
		n    int
		text string
	}{{cached, "cached"}, {run, toRun}, {unknown, "known after"}} {
		if part.n > 0 {
			parts = append(parts, humanize.Comma(int64(part.n))+" "+part.text)
		}
	}
	return strings.Join(parts, ", ")
}

// resumed counts the steps that go on from a checkpoint.
func resumed(p *pipeline.Plan) (n int) {
	for _, s := range p.Steps {
		if s.Resumes {
			n++
		}
	}
	return n
}

// planJSON is a plan for programs.
type planJSON struct {
	Recipe   string     `json:"recipe"`
	Cached   int        `json:"cached"`
	Run      int        `json:"run"`
	Unknown  int        `json:"unknown"`
	Expected float64    `json:"expected,omitempty"`      // s: what it is likely to take, by earlier runs
	Cost     *priceJSON `json:"expected_cost,omitempty"` // likewise, of all steps that run and have run before
	NeverRan int        `json:"never_ran,omitempty"`     // how many steps have not, so that nothing is known of them
	Steps    []stepJSON `json:"steps"`
}

// stepJSON is a step with its verdict.
type stepJSON struct {
	Step     string            `json:"step"`
	Stage    string            `json:"stage"`
	Pos      string            `json:"pos"`
	Place    string            `json:"place,omitempty"` // the executor that performs it, where it is not this machine
	Verdict  pipeline.Verdict  `json:"verdict"`
	Reasons  []pipeline.Reason `json:"reasons,omitempty"`
	Resumes  bool              `json:"resumes,omitempty"` // it goes on from a checkpoint
	After    []string          `json:"after,omitempty"`
	Action   string            `json:"action,omitempty"`
	Expected float64           `json:"expected,omitempty"`      // s: what it is likely to take, by earlier runs
	Cost     *priceJSON        `json:"expected_cost,omitempty"` // likewise
	Adopted  *store.Adopted    `json:"adopted,omitempty"`       // the stage did not make the result
}

func planDocument(p *pipeline.Plan) planJSON {
	doc := planJSON{
		Recipe: p.Recipe.Name, Steps: make([]stepJSON, len(p.Steps)),
		Cached: p.Count(pipeline.Cached), Run: p.Count(pipeline.MustRun), Unknown: p.Count(pipeline.Unknown),
	}
	for i, s := range p.Steps {
		doc.Steps[i] = planned(s)
	}
	return doc
}

func planned(s *pipeline.Planned) stepJSON {
	j := stepJSON{Step: s.ID, Stage: s.Stage.Name, Pos: s.Pos, Place: s.Place, Verdict: s.Verdict, Reasons: s.Reasons, Resumes: s.Resumes, After: s.After}
	if !s.Action.IsZero() {
		j.Action = s.Action.String()
	}
	if s.Record != nil {
		j.Adopted = s.Record.Adopted
	}
	return j
}

// adoptedText says when and from where a result was adopted.
func adoptedText(a *store.Adopted) string {
	text := a.Time.Local().Format(time.DateTime)
	if len(a.From) > 0 {
		text += " from " + view.Few(a.From, ", ")
	}
	if a.Note != "" {
		text += ": " + a.Note
	}
	return text
}
