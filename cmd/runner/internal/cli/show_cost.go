package cli

import (
	"context"
	"slices"

	"github.com/dustin/go-humanize"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

// costJSON is what a run has cost.
type costJSON struct {
	Run    string          `json:"run"`
	Recipe string          `json:"recipe"`
	Status pipeline.Status `json:"status"`
	Spent  figures         `json:"spent"` // by the steps that ran, also those that failed
	Saved  figures         `json:"saved"` // what the cached ones cost when they were made
	Steps  []stepCost      `json:"steps"`
}

// stepCost is what a step has cost in a run or, if it was cached, when it was made.
type stepCost struct {
	Step    string `json:"step"`
	Stage   string `json:"stage,omitempty"`
	State   string `json:"state"`             // ran, cached, failed, stopped, skipped, waiting or running
	Made    string `json:"made,omitempty"`    // of one that was cached: the run that made its result
	Resumed bool   `json:"resumed,omitempty"` // from a checkpoint, whose cost is an earlier run's
	figures

	saved bool
}

// figures are a cost for programs.
type figures struct {
	Elapsed float64 `json:"elapsed"` // s
	history.Cost
}

func newFigures(c history.Cost) figures { return figures{c.Elapsed.Seconds(), c} }

// costs finds out what steps have cost.
type costs struct {
	*past
	runs map[string]*history.Run // by ID, those that were read; nil where there is no journal
}

// showCost prints what a run has cost, or some of its steps.
func (a *app) showCost(ctx context.Context, path, name string, step []string) error {
	p, err := a.past(path)
	if err != nil {
		return err
	}
	defer p.Close()
	r, err := p.find(name)
	if err != nil {
		return err
	}
	steps := r.Steps
	if len(step) > 0 {
		if steps, err = stepsIn(r, step[0]); err != nil {
			return err
		}
	}
	doc := (&costs{p, map[string]*history.Run{r.ID: r}}).of(ctx, r, steps)
	if a.json {
		return a.print("cost", doc)
	}
	a.writeCost(r, doc)
	return nil
}

// of returns what some steps of a run have cost.
func (c *costs) of(ctx context.Context, r *history.Run, steps []*history.Step) costJSON {
	doc := costJSON{Run: r.ID, Recipe: r.Recipe, Status: r.Status, Steps: []stepCost{}}
	var spent, saved history.Cost
	for _, s := range steps {
		row := stepCost{Step: s.ID, Stage: s.Stage, State: stateOf(s.Type), Resumed: s.Resumed, saved: s.Type == pipeline.StepCached}
		if row.saved {
			made, moved := c.made(ctx, s, &row), s.Moved()
			made.Fetched, made.Sent = history.Amount{}, history.Amount{} // which the run that made it has spent, and a cached step saves nothing of
			saved, spent = saved.Plus(made), spent.Plus(moved)
			row.figures = newFigures(made.Plus(moved))
		} else {
			cost := s.Cost()
			row.figures, spent = newFigures(cost), spent.Plus(cost)
		}
		doc.Steps = append(doc.Steps, row)
	}
	doc.Spent, doc.Saved = newFigures(spent), newFigures(saved)
	return doc
}

// made returns what a cached step has cost when its result was made. Where the journal of
// that run is not there, the record still tells how long it took.
func (c *costs) made(ctx context.Context, s *history.Step, row *stepCost) history.Cost {
	record, _ := c.Lookup(ctx, s.Action) // the record will do, also if its objects are gone
	if record.Action.IsZero() || record.Adopted != nil {
		return history.Unknown(0)
	}
	row.Made = record.Run
	if r := c.read(record.Run); r != nil {
		if made := r.Step(record.Step); made != nil && made.Action == s.Action && made.Type == pipeline.StepDone {
			row.Stage, row.Resumed = made.Stage, made.Resumed
			return made.Cost()
		}
	}
	return history.Unknown(record.Elapsed)
}

// read reads a run's journal, once; nil where there is none.
func (c *costs) read(id string) *history.Run {
	r, was := c.runs[id]
	if !was {
		r, _ = history.Read(c.Store, id)
		c.runs[id] = r
	}
	return r
}

// costColumn is one of a table of costs.
type costColumn struct {
	name   string
	of     func(figures) history.Amount
	text   func(float64) string
	always bool // also where it has nothing in it
}

var costColumns = []costColumn{
	{"TOOK", func(f figures) history.Amount { return history.Amount{Value: f.Elapsed} }, view.Seconds, true},
	{"CPU TIME", func(f figures) history.Amount { return f.CPU }, view.Seconds, true},
	{"CPUS", func(f figures) history.Amount { return history.Amount{Value: float64(f.CPUs), Least: f.CPUs == 0} }, view.Number, false},
	{"GPU HOURS", func(f figures) history.Amount { return f.GPU }, func(s float64) string { return view.Number(s / 3600) }, false},
	{"PEAK MEMORY", func(f figures) history.Amount { return f.Memory }, bytesText, true},
	{"READ", func(f figures) history.Amount { return f.Read }, bytesText, false},
	{"WRITTEN", func(f figures) history.Amount { return f.Written }, bytesText, false},
	{"INPUTS", func(f figures) history.Amount { return f.Inputs }, bytesText, false},
	{"OUTPUTS", func(f figures) history.Amount { return f.Outputs }, bytesText, false},
	{"FETCHED", func(f figures) history.Amount { return f.Fetched }, bytesText, false},
	{"SENT", func(f figures) history.Amount { return f.Sent }, bytesText, false},
}

func bytesText(v float64) string { return humanize.IBytes(uint64(v)) }

// shownColumns returns the columns that have something in them.
func (doc *costJSON) shownColumns() []costColumn {
	return slices.DeleteFunc(slices.Clone(costColumns), func(c costColumn) bool {
		return !c.always && c.of(doc.Spent).Value == 0 && c.of(doc.Saved).Value == 0
	})
}

// amountText writes an amount, with a sign before it where it is a bound.
func amountText(a history.Amount, text func(float64) string) string {
	switch a.How() {
	case "unknown":
		return "–"
	case "measured":
		return text(a.Value)
	case "granted":
		return "≤ " + text(a.Value)
	case "at least":
		return "≥ " + text(a.Value)
	}
	return "~ " + text(a.Value)
}

// writeCost prints what a run has cost for people. Of many steps, those that were cached are
// in the sum alone.
func (a *app) writeCost(r *history.Run, doc costJSON) {
	y := a.style(a.out)
	say(a.out, "%s  %s  %s", y.Bold(r.ID), r.Recipe, statusText(y, r.Status))
	say(a.out, "%s\n", when(r.Started))
	columns := doc.shownColumns()
	heading, right := []string{"STEP", "STATE"}, []int(nil)
	for i, c := range columns {
		heading, right = append(heading, c.name), append(right, i+2)
	}
	rows := [][]string{heading}
	hidden := 0
	for _, s := range doc.Steps {
		switch {
		case s.saved && len(doc.Steps) > many && !a.verbose:
			hidden++
		case s.saved || s.Attempts > 0:
			rows = append(rows, costRow(columns, s.Step, costState(s), s.figures))
		default: // it never began
			rows = append(rows, append([]string{s.Step, s.State}, make([]string, len(columns))...))
		}
	}
	rows = append(rows, costRow(columns, "spent", "", doc.Spent))
	if slices.ContainsFunc(doc.Steps, func(s stepCost) bool { return s.saved }) {
		rows = append(rows, costRow(columns, "saved", "", doc.Saved))
	}
	a.table(rows, right...)
	if hidden > 0 {
		say(a.out, "and %s cached, which are in the sum (-v shows them)", view.Count(hidden, "step"))
	}
	a.writeSigns(doc)
}

func costRow(columns []costColumn, name, state string, f figures) []string {
	cells := []string{name, state}
	for _, c := range columns {
		cells = append(cells, amountText(c.of(f), c.text))
	}
	return cells
}

// costState says what became of a step.
func costState(s stepCost) string {
	switch {
	case s.Resumed:
		return s.State + ", resumed"
	case s.Attempts > 1 && !s.saved:
		return s.State + ", " + view.Count(s.Attempts, "attempt")
	}
	return s.State
}

// signs say what the signs before amounts mean.
var signs = []struct{ how, text string }{
	{"granted", "≤ the CPUs that it was granted, as long as it had them: run --isolate measures"},
	{"at least", "≥ what was measured; there was more, which could not be"},
	{"roughly", "~ some was granted, and some could not be measured"},
	{"unknown", "– not known"},
}

// writeSigns says what the signs in a table mean, of those that it has.
func (a *app) writeSigns(doc costJSON) {
	for i, line := range doc.signs() {
		if i == 0 {
			say(a.out, "")
		}
		say(a.out, "%s", a.style(a.out).Dim(line))
	}
}

// note notes how amounts are known that may be known otherwise than the others.
func (f *figures) note(found map[string]bool) {
	for _, a := range []history.Amount{f.CPU, f.Memory, f.Fetched, f.Sent} {
		found[a.How()] = true
	}
}

func (doc *costJSON) signs() (lines []string) {
	found, resumed := map[string]bool{}, false
	for _, s := range doc.Steps {
		if s.saved || s.Attempts > 0 {
			s.note(found)
			resumed = resumed || s.Resumed
		}
	}
	for _, sum := range []figures{doc.Spent, doc.Saved} {
		sum.note(found)
	}
	for _, sign := range signs {
		if found[sign.how] {
			lines = append(lines, sign.text)
		}
	}
	if resumed {
		lines = append(lines, "resumed: without what it cost before its checkpoint, in earlier runs")
	}
	return lines
}
