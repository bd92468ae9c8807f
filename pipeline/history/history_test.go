package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

type config struct {
	Value float64 `json:"value"`
}

var give = pipeline.Define("give", 1, "Gives what it takes.", config{}, func(_ context.Context, t *pipeline.Task, c config) (config, error) {
	t.Log().Info().Msgf("giving %v", c.Value)
	if c.Value < 0 {
		return c, errors.New("negative")
	}
	return c, nil
})

// recipe returns one of a step for each value, and an output.
func recipe(name string, values ...float64) *pipeline.Recipe {
	r := &pipeline.Recipe{
		Name:      name,
		Variables: []pipeline.Variable{pipeline.NewVariable("epochs", 3., true, false), pipeline.NewVariable("password", "hunter2", true, true)},
		Files:     []pipeline.Text{{Name: name + ".hcl", Text: "# nothing\n"}},
	}
	for i, v := range values {
		r.Steps = append(r.Steps, &pipeline.Step{ID: fmt.Sprintf("s%d", i), Stage: give, Pos: "a.hcl:1",
			Attrs: func(*pipeline.Outputs) (pipeline.Attrs, error) {
				return pipeline.Attrs{"value": {Value: v}}, nil
			}})
	}
	origin := []pipeline.Origin{{Kind: pipeline.Measured, Step: "s0", Output: "value"}}
	r.Outputs = []*pipeline.Output{{Name: "best", Attr: func(*pipeline.Outputs) (pipeline.Attr, error) {
		return pipeline.Attr{Value: pipeline.Traced{Value: 0.5}, Origins: origin, Type: "number"}, nil
	}}}
	return r
}

func open(t *testing.T) (*store.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, dir
}

func execute(t *testing.T, s *store.Store, r *pipeline.Recipe) string {
	t.Helper()
	p, err := pipeline.NewPlan(t.Context(), r, s, pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	run, err := pipeline.Execute(t.Context(), p, s, pipeline.RunOptions{Jobs: 1, Header: &pipeline.Header{Host: "here", Command: []string{"runner", "run"}}})
	if err != nil {
		t.Fatal(err)
	}
	return run.ID
}

func list(t *testing.T, s *store.Store, recipe string) (ids []string, all []*Summary) {
	t.Helper()
	runs, err := List(s, recipe)
	if err != nil {
		t.Fatal(err)
	}
	for r := range runs {
		ids, all = append(ids, r.ID), append(all, r)
	}
	return ids, all
}

// What a run was and did is in its journal: header, recipe, steps with their logs, outputs
// with where they came from; and no secret.
func TestRead(t *testing.T) {
	s, dir := open(t)
	id := execute(t, s, recipe("a", 1, -1))
	r, err := Read(s, id)
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Host != "here" || len(r.Header.Variables) != 2 || string(r.Header.Variables[0].Value) != "3" || r.Files[0].Text != "# nothing\n" {
		t.Errorf("header %+v, files %+v", r.Header, r.Files)
	}
	if r.Status != pipeline.Failed || r.Done != 1 || r.Failed != 1 || r.Recipe != "a" || len(r.Steps) != 2 {
		t.Errorf("summary %+v", r.Summary)
	}
	done, failed := r.Step("s0"), r.Step("s1")
	if done.Type != pipeline.StepDone || done.Action.IsZero() || len(done.Log) != 1 || done.Stage != "give" || done.Started.IsZero() {
		t.Errorf("done %+v", done)
	}
	if failed.Type != pipeline.StepFailed || failed.Error != "negative" {
		t.Errorf("failed %+v", failed)
	}
	if len(r.Outputs) != 1 || string(r.Outputs[0].Value) != "0.5" || r.Outputs[0].Origins[0].Kind != pipeline.Measured {
		t.Errorf("outputs %+v", r.Outputs)
	}
	b, err := os.ReadFile(filepath.Join(dir, "runs", id+".jsonl"))
	if err != nil || strings.Contains(string(b), "hunter2") {
		t.Errorf("%v: the journal holds a secret: %s", err, b)
	}
	if _, err := Read(s, "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a run that is none: %v", err)
	}
}

// The list is in the order in which runs began, also within a second, and tells a recipe's
// runs from others.
func TestListNewestFirst(t *testing.T) {
	s, _ := open(t)
	var want []string
	for i := range 12 {
		id := execute(t, s, recipe([]string{"a", "b"}[i%2], float64(i/6)))
		if i%2 == 0 {
			want = append([]string{id}, want...)
		}
	}
	if ids, all := list(t, s, "a"); !slices.Equal(ids, want) || all[0].Cached != 1 || all[5].Done != 1 {
		t.Errorf("got %v\nwant %v", ids, want)
	}
	for name, id := range map[string]string{"last": want[0], "last~0": want[0], "last~5": want[5], want[3]: want[3], want[2][:len(want[2])-1]: want[2]} {
		if got, err := Find(s, "a", name); err != nil || got != id {
			t.Errorf("%s is %q, %v; want %s", name, got, err, id)
		}
	}
	for name, want := range map[string]string{
		"last~6": "so that the first is last~5", "last~": "there is no run", "last~x": "there is no run", "": "there is no run",
		"2": "12 runs begin with", "x": "want an ID", "../a": "want an ID",
	} {
		if _, err := Find(s, "a", name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

// A journal that is cut anywhere, as by a kill, is a run that was killed, of which all whole
// lines count; while its process lives, it is running.
func TestCutAnywhere(t *testing.T) {
	s, dir := open(t)
	id := execute(t, s, recipe("a", 1, -1))
	path := filepath.Join(dir, "runs", id+".jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := slices.Index(whole, '\n') + 1
	for n := range whole {
		near := whole[min(n+2, len(whole)-1)] == '\n' || whole[max(n-2, 0)] == '\n' || slices.Contains(whole[max(n-2, 0):min(n+2, len(whole))], '\n')
		if !near && n%13 > 0 {
			continue // one place within a line is like another
		}
		if err := os.WriteFile(path, whole[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := Read(s, id)
		ids, all := list(t, s, "")
		if n < first-1 {
			if err == nil || len(ids) > 0 {
				t.Fatalf("cut at %d, before the first line's end, there is a run", n)
			}
			continue
		}
		if n < first {
			continue // the line is whole but for its end
		}
		lines := strings.Count(string(whole[:n]), "\n")
		if err != nil || len(ids) != 1 || r.Status != Killed && n < len(whole)-1 || all[0].Status != r.Status && n < len(whole)-1 {
			t.Fatalf("cut at %d, after %d lines: %v, %+v", n, lines, err, r)
		}
	}
}

// While a process has the journal open its run is running.
func TestRunning(t *testing.T) {
	s, _ := open(t)
	const id = "20260101T000000Z-abcdef"
	w, err := s.Journal(id)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(pipeline.Event{Type: pipeline.RunStarted, Recipe: "a", Time: time.Now(), Steps: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		t.Fatal(err)
	}
	if _, all := list(t, s, "a"); all[0].Status != Running || all[0].Header != nil {
		t.Errorf("%+v", all[0])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, all := list(t, s, "a"); all[0].Status != Killed {
		t.Errorf("%+v", all[0])
	}
}

func BenchmarkList(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "store")
	s, err := store.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const runs = 2000
	for i := range runs {
		id := fmt.Sprintf("20260101T%06dZ-abcdef", i)
		w, err := s.Journal(id)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range []pipeline.Event{
			{Type: pipeline.RunStarted, Recipe: "a", Time: time.Now(), Steps: 1, Header: &pipeline.Header{Host: "here"}},
			{Type: pipeline.RunRecipe, Files: []pipeline.Text{{Text: strings.Repeat("text\n", 10000)}}},
			{Type: pipeline.RunFinished, Status: pipeline.Succeeded, Time: time.Now()},
		} {
			line, _ := json.Marshal(e)
			_, _ = w.Write(append(line, '\n'))
		}
		_ = w.Close()
	}
	for b.Loop() {
		all, err := List(s, "a")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for range all {
			n++
		}
		if n != runs {
			b.Fatal(n)
		}
	}
}
