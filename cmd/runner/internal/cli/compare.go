package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

// comparing are the flags of compare.
type comparing struct {
	step     string
	min, max []string
	all, csv bool
	html     string
}

func (a *app) compareCommand() *cobra.Command {
	var opt comparing
	cmd := &cobra.Command{
		Use:   "compare RECIPE [RUN...]",
		Short: "Compare runs, or the instances of a step: parameters against metrics",
		Long: `Compare runs of a recipe, all of them unless some are named: a row for each, its variables
against the numbers among the recipe's outputs. With --step, compare steps of one run (or
of several): a row for each instance of a for_each, its attributes against its outputs.

Columns in which all rows are equal are left out, unless --all, and of lists of one length,
such as the command of exec, the elements that are equal. Each metric says how its
numbers came about (measured, modelled, predicted, published or given); where a column
has several kinds, each cell does. --min and --max name the metrics of which the least or
the greatest is best: it is bold, or where there is no bold, has a star before it.

` + runHelp,
		Example: `  runner compare paper.hcl --max accuracy
  runner compare paper.hcl last~2 last --csv
  runner compare paper.hcl --step 'train[*]' --max accuracy --min loss --html sweep.html`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return invalidf("%s: RECIPE is missing: %s", cmd.CommandPath(), cmd.UseLine())
			}
			return nil
		},
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			if opt.csv && (a.json || opt.html != "") || a.json && opt.html != "" {
				return invalidf("--csv, --html and --json exclude each other")
			}
			p, err := a.past(args[0])
			if err != nil {
				return err
			}
			defer p.Close()
			c, err := p.comparison(cmd.Context(), args[1:], opt)
			if err != nil {
				return err
			}
			return a.writeComparison(c, opt)
		},
	}
	cmd.Flags().StringVar(&opt.step, "step", "", "compare `steps` of a run, such as 'train[*]'")
	cmd.Flags().StringArrayVar(&opt.min, "min", nil, "a `metric` of which the least is best; may be repeated")
	cmd.Flags().StringArrayVar(&opt.max, "max", nil, "a `metric` of which the greatest is best; may be repeated")
	cmd.Flags().BoolVar(&opt.all, "all", false, "show columns in which all rows are equal, too")
	cmd.Flags().BoolVar(&opt.csv, "csv", false, "print CSV")
	cmd.Flags().StringVar(&opt.html, "html", "", "write a page to this `file`")
	return cmd
}

// comparison is a table of runs or steps.
type comparison struct {
	Recipe  string    `json:"recipe"`
	Columns []*column `json:"columns"`
	Rows    []*row    `json:"rows"`
}

// column is a parameter or a metric.
type column struct {
	Name   string                `json:"name"`
	Metric bool                  `json:"metric"`
	Kinds  []pipeline.Provenance `json:"kinds,omitempty"` // of the numbers in it; several where it is mixed
	Best   string                `json:"best,omitempty"`  // min or max
}

// row is a run, or a step of one.
type row struct {
	Run   string           `json:"run"`
	Step  string           `json:"step,omitempty"`
	State string           `json:"state"` // the run's status, or what became of the step
	Cells map[string]*cell `json:"cells"` // by the column's key
	keys  []string         // in order
}

// cell is a value with how it came about.
type cell struct {
	Value any                   `json:"value"`
	Kinds []pipeline.Provenance `json:"kinds,omitempty"`
	Best  bool                  `json:"best,omitempty"`
}

// key returns the key of a column's cells: a parameter and a metric may have one name.
func (c *column) key() string { return keyOf(c.Name, c.Metric) }

func keyOf(name string, metric bool) string {
	if metric {
		return "metric " + name
	}
	return "parameter " + name
}

// set gives the row a cell.
func (r *row) set(name string, metric bool, c *cell) {
	key := keyOf(name, metric)
	r.keys = append(r.keys, key)
	r.Cells[key] = c
}

// comparison makes the table of the runs that are named, or of all.
func (p *past) comparison(ctx context.Context, names []string, opt comparing) (*comparison, error) {
	runs, err := p.compared(names, opt)
	if err != nil {
		return nil, err
	}
	c := &comparison{Recipe: p.recipe, Columns: []*column{}}
	for _, r := range runs {
		if opt.step == "" {
			c.Rows = append(c.Rows, rowOfRun(r))
			continue
		}
		steps, err := stepsIn(r, opt.step)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(steps, func(a, b *history.Step) int { return strings.Compare(a.ID, b.ID) }) // a journal has them as they ended
		for _, s := range steps {
			c.Rows = append(c.Rows, p.rowOfStep(ctx, r, s))
		}
	}
	if !opt.all {
		c.unfold()
	}
	c.columns(opt.all)
	return c, errors.Join(c.judge(opt.min, "min"), c.judge(opt.max, "max"))
}

// mostCompared is how many runs are compared where none are named.
const mostCompared = 500

// compared returns the runs to compare, the oldest first: where none are named, those that
// have outputs, or with --step the last one.
func (p *past) compared(names []string, opt comparing) ([]*history.Run, error) {
	if len(names) == 0 && opt.step != "" {
		names = []string{"last"}
	}
	var runs []*history.Run
	for _, name := range names {
		r, err := p.find(name)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	if len(names) > 0 {
		return runs, nil
	}
	all, err := history.List(p.Store, p.recipe)
	if err != nil {
		return nil, err
	}
	for s := range all {
		if s.Status != pipeline.Succeeded {
			continue // it has no outputs, or not all
		}
		if len(runs) == mostCompared {
			p.note(fmt.Sprintf("the last %d runs are compared; name others", mostCompared))
			break
		}
		if r, err := history.Read(p.Store, s.ID); err == nil {
			runs = append(runs, r)
		}
	}
	slices.Reverse(runs)
	if len(runs) == 0 {
		return nil, invalidf("no run of %s has succeeded yet", p.recipe)
	}
	return runs, nil
}

// rowOfRun compares a run by its variables and outputs.
func rowOfRun(r *history.Run) *row {
	row := &row{Run: r.ID, State: string(r.Status), Cells: make(map[string]*cell)}
	if r.Header != nil {
		for _, v := range r.Header.Variables {
			switch {
			case v.Sensitive:
			case v.Digest != nil:
				row.set(v.Name, false, &cell{Value: variableText(v)})
			default:
				var value any
				if json.Unmarshal(v.Value, &value) == nil {
					row.parameters(v.Name, value)
				}
			}
		}
	}
	for _, o := range r.Outputs {
		for _, l := range leavesOf(o.Value) {
			if isMetric(l) {
				row.set(joined(o.Name, l.path), true, &cell{Value: l.value, Kinds: pipeline.Kinds(originsAt(o.Origins, l.path))})
			}
		}
	}
	return row
}

// rowOfStep compares a step by its attributes and outputs.
func (p *past) rowOfStep(ctx context.Context, r *history.Run, s *history.Step) *row {
	row := &row{Run: r.ID, Step: s.ID, State: stateOf(s.Type), Cells: make(map[string]*cell)}
	record, _ := p.Lookup(ctx, s.Action) // the record will do, also if its objects are gone
	key, err := pipeline.ReadKey(record.Preimage)
	if err != nil {
		row.State += ", gone"
		return row
	}
	for _, name := range slices.Sorted(maps.Keys(key.Attributes)) {
		row.parameters(name, key.Attributes[name])
	}
	if key.Secret() {
		return row
	}
	output := resultType(p.stages, record)
	for _, l := range leavesOf(record.Output) {
		if isMetric(l) {
			row.set(l.path, true, &cell{Value: l.value, Kinds: kindsAt(output, l.path)})
		}
	}
	return row
}

// parameters gives the row the leaves of a value. A list is a value of its own.
func (r *row) parameters(name string, v any) {
	m, ok := v.(map[string]any)
	if _, file := artifacts.FileIn(m); !ok || file || pipeline.IsSensitive(m) {
		r.set(name, false, &cell{Value: v})
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		r.parameters(joined(name, k), m[k])
	}
}

// isMetric reports whether a leaf is a number that is not one of a list, such as a curve's.
func isMetric(l leaf) bool {
	_, number := l.value.(float64)
	return number && !strings.HasSuffix(l.path, "]") && !strings.Contains(l.path, "].")
}

// originsAt returns the origins of a part of a value.
func originsAt(all []pipeline.Origin, path string) []pipeline.Origin {
	var at []pipeline.Origin
	for _, o := range all {
		rest, within := strings.CutPrefix(path, o.At)
		if o.At == "" || within && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			at = append(at, o)
		}
	}
	return at
}

// kindsAt returns how the numbers at a path of a stage's output came about.
func kindsAt(t *pipeline.Type, path string) []pipeline.Provenance {
	var kind pipeline.Provenance
	for path != "" && t != nil {
		name, rest, _ := strings.Cut(path, ".")
		if t.Elem != nil {
			t, path = t.Elem, rest
			continue
		}
		f := t.Field(name)
		if f == nil {
			break
		}
		if f.Kind != "" {
			kind = f.Kind
		}
		t, path = f.Type, rest
	}
	if kind == "" {
		return nil
	}
	return []pipeline.Provenance{kind}
}

// columns finds the columns: parameters first, in the order of the rows, those in which all
// rows are equal left out unless all are asked for.
func (c *comparison) columns(all bool) {
	for _, metric := range []bool{false, true} {
		seen := make(map[string]bool)
		for _, r := range c.Rows {
			for _, key := range r.keys {
				name, is := strings.CutPrefix(key, keyOf("", metric))
				if !is || seen[key] {
					continue
				}
				seen[key] = true
				if all || len(c.Rows) == 1 || c.differs(key) {
					c.Columns = append(c.Columns, &column{Name: name, Metric: metric, Kinds: c.kinds(key)})
				}
			}
		}
	}
}

// mostElements is in how many elements lists may differ that are compared by element.
const mostElements = 6

// unfold compares lists of the same length by the elements that differ, if those are few:
// the arguments of a command, of which a sweep changes two.
func (c *comparison) unfold() {
	for _, key := range slices.Clone(c.Rows[0].keys) {
		name, is := strings.CutPrefix(key, keyOf("", false))
		at := c.elements(key)
		if !is || len(at) == 0 || len(at) > mostElements {
			continue
		}
		for _, r := range c.Rows {
			list := r.Cells[key].Value.([]any)
			var keys []string
			for _, i := range at {
				element := keyOf(fmt.Sprintf("%s[%d]", name, i), false)
				keys = append(keys, element)
				r.Cells[element] = &cell{Value: list[i]}
			}
			delete(r.Cells, key)
			place := slices.Index(r.keys, key)
			r.keys = slices.Replace(r.keys, place, place+1, keys...)
		}
	}
}

// elements returns in which elements a column of lists differs; none where one of its cells
// is no list, or one of another length.
func (c *comparison) elements(key string) (at []int) {
	if c.Rows[0].Cells[key] == nil {
		return nil
	}
	first, _ := c.Rows[0].Cells[key].Value.([]any)
	differ := make([]bool, len(first))
	for _, r := range c.Rows {
		if r.Cells[key] == nil {
			return nil
		}
		list, ok := r.Cells[key].Value.([]any)
		if !ok || len(list) != len(first) {
			return nil
		}
		for i := range list {
			differ[i] = differ[i] || cellText(&cell{Value: list[i]}) != cellText(&cell{Value: first[i]})
		}
	}
	for i, d := range differ {
		if d {
			at = append(at, i)
		}
	}
	return at
}

func (c *comparison) differs(key string) bool {
	first := cellText(c.Rows[0].Cells[key])
	return slices.ContainsFunc(c.Rows, func(r *row) bool { return cellText(r.Cells[key]) != first })
}

// kinds returns the kinds of the numbers in a column, those of all cells together.
func (c *comparison) kinds(key string) []pipeline.Provenance {
	found := make(map[pipeline.Provenance]bool)
	for _, r := range c.Rows {
		if cell := r.Cells[key]; cell != nil {
			for _, k := range cell.Kinds {
				found[k] = true
			}
		}
	}
	var all []pipeline.Provenance
	for _, k := range pipeline.Provenances {
		if found[k] {
			all = append(all, k)
		}
	}
	return all
}

// judge marks the best cells of metrics. In a column with several kinds of numbers they are
// the best of their kind: a prediction does not win over a measurement.
func (c *comparison) judge(names []string, best string) error {
	for _, name := range names {
		i := slices.IndexFunc(c.Columns, func(col *column) bool { return col.Metric && col.Name == name })
		if i < 0 && !c.has(name) {
			return invalidf("--%s %q: there is no such metric%s", best, name, whatThereIs(name, c.metrics()))
		} else if i < 0 {
			continue // all are equal
		}
		c.Columns[i].Best = best
		c.mark(c.Columns[i])
	}
	return nil
}

func (c *comparison) has(name string) bool {
	return slices.ContainsFunc(c.Rows, func(r *row) bool { return r.Cells[keyOf(name, true)] != nil })
}

func (c *comparison) metrics() []string {
	var names []string
	for _, col := range c.Columns {
		if col.Metric {
			names = append(names, col.Name)
		}
	}
	return names
}

func (c *comparison) mark(col *column) {
	best := make(map[string]float64)
	each := func(f func(cell *cell, kind string, x float64)) {
		for _, r := range c.Rows {
			if cell := r.Cells[col.key()]; cell != nil {
				if x, ok := cell.Value.(float64); ok {
					f(cell, pipeline.JoinKinds(cell.Kinds), x)
				}
			}
		}
	}
	each(func(_ *cell, kind string, x float64) {
		if b, ok := best[kind]; !ok || col.Best == "max" && x > b || col.Best == "min" && x < b {
			best[kind] = x
		}
	})
	each(func(cell *cell, kind string, x float64) { cell.Best = x == best[kind] })
}
