package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

// past is what the commands that look at old runs stand on: a store, and the name of the
// recipe whose runs are meant. The recipe itself is not read, so that it may have mistakes.
type past struct {
	*store.Store
	path   string // of the recipe, as it was given
	dir    string // where the store is
	recipe string // its name; "" for the runs of all recipes in the store
	stages []*pipeline.Stage
	note   func(string) // tells people something that is no result
}

// runHelp says how commands take runs.
const runHelp = `A RUN is its ID (runner runs lists them), the beginning of one, last for the recipe's
newest run, last~1, last~2, … for those before, or the name that it was pinned by.`

// past opens the store that goes with the recipe at path; where there is no path, the one
// in this directory. The caller closes it.
func (a *app) past(path string) (*past, error) {
	p := &past{path: path, stages: a.stages, note: a.hint}
	gone := false
	if path != "" {
		_, err := os.Stat(path)
		if gone = errors.Is(err, fs.ErrNotExist); err != nil && !gone {
			return nil, err
		}
		p.recipe = strings.TrimSuffix(filepath.Base(path), ".hcl")
	} else {
		path = "."
	}
	dir := a.storeDir(path)
	p.dir = dir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && gone {
		return nil, invalidf("there is no recipe %s", path)
	} else if errors.Is(err, fs.ErrNotExist) {
		return nil, invalidf("there is no store %s: nothing has run yet, or name another one with --store", dir)
	}
	var err error
	if p.Store, err = store.Open(dir); err == nil && gone && !p.ran() {
		p.Close()
		return nil, invalidf("there is no recipe %s, and no run of one that had this name", path)
	}
	if err == nil {
		p.Back(&lateCache{tell: a.hint, open: func() (*team.Cache, error) {
			s, err := a.loadSite(recipeDir(path))
			if err != nil {
				return nil, err
			}
			return a.openCache(context.Background(), s, a.hint)
		}})
	}
	return p, err
}

// ran reports whether the store has a run of the recipe: one that was moved away, or
// renamed, has its past all the same.
func (p *past) ran() bool {
	runs, err := history.List(p.Store, p.recipe)
	if err != nil {
		return false
	}
	for range runs {
		return true
	}
	return false
}

// named returns the ID of the run that a name stands for.
func (p *past) named(name string) (string, error) {
	pins, err := p.Pins()
	if err != nil {
		return "", err
	}
	for _, pin := range pins {
		if name != "" && pin.Name == name {
			return pin.Run, nil
		}
	}
	id, err := history.Find(p.Store, p.recipe, name)
	if none := (*history.NoRunError)(nil); errors.As(err, &none) {
		return "", invalid(err)
	}
	return id, err
}

// find returns the run that a name stands for, read whole.
func (p *past) find(name string) (*history.Run, error) {
	id, err := p.named(name)
	if err != nil {
		return nil, err
	}
	r, err := history.Read(p.Store, id)
	if err != nil {
		return nil, fmt.Errorf("the journal of run %s: %w", id, err)
	}
	return r, nil
}

// stepsIn returns the steps of a run that a name stands for.
func stepsIn(r *history.Run, name string) ([]*history.Step, error) {
	recipe := &pipeline.Recipe{Name: r.Recipe}
	for _, s := range r.Steps {
		recipe.Steps = append(recipe.Steps, &pipeline.Step{ID: s.ID})
	}
	ids, err := stepsNamed(recipe, name)
	if err != nil {
		return nil, invalidf("run %s: %w", r.ID, err)
	}
	steps := make([]*history.Step, len(ids))
	for i, id := range ids {
		steps[i] = r.Step(id)
	}
	return steps, nil
}

// attributesOf returns the attributes in a record's key, nil where the record is gone.
func attributesOf(r store.Record) json.RawMessage {
	var key struct {
		Attributes json.RawMessage `json:"attributes"`
	}
	if json.Unmarshal(r.Preimage, &key) != nil {
		return nil
	}
	return key.Attributes
}

// table writes rows of cells, each column as wide as its widest cell. The first row is the
// heading; numeric columns, by their index, are aligned at the right.
func (a *app) table(rows [][]string, right ...int) {
	if len(rows) == 0 {
		return
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], view.Width(200, cell))
		}
	}
	flush := make(map[int]bool, len(right))
	for _, i := range right {
		flush[i] = true
	}
	y := a.style(a.out)
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-view.Width(200, cell))
			if n == 0 {
				cell = y.Bold(cell)
			}
			if flush[i] {
				line.WriteString(space + cell + "  ")
			} else {
				line.WriteString(cell + space + "  ")
			}
		}
		say(a.out, "%s", strings.TrimRight(line.String(), " "))
	}
}

// when returns a time as people here read it.
func when(t time.Time) string { return t.Local().Format(time.DateTime) }

// stateOf words what became of a step.
func stateOf(t pipeline.EventType) string {
	switch t {
	case pipeline.StepDone:
		return "ran"
	case pipeline.StepCached:
		return "cached"
	case pipeline.StepFailed:
		return "failed"
	case pipeline.StepStopped:
		return "stopped"
	case pipeline.StepSkipped:
		return "skipped"
	case pipeline.StepQueued:
		return "queued"
	case pipeline.StepWaiting:
		return "waiting"
	}
	return "running"
}
