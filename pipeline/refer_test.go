package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

type referConfig struct {
	In artifacts.File `json:"in" is:"dir"`
}

func (c referConfig) References() map[string]artifacts.File {
	return map[string]artifacts.File{"in": c.In}
}

// part is a handle whose readers check what they read, if it has digests.
type part struct {
	Data    artifacts.File `json:"data"`
	Digests bool           `json:"digests" key:"-"`
}

func (p part) ChecksFiles() bool { return p.Digests }

type partOutput struct {
	Part part           `json:"part"`
	Text string         `json:"text"`
	Tree artifacts.File `json:"tree"` // the part's, by itself
}

// referring hands through a tree that it reads where it lies; during is called meanwhile.
func referring(during func(c referConfig)) *Stage {
	return Define("refer", 1, "", referConfig{}, func(_ context.Context, _ *Task, c referConfig) (partOutput, error) {
		if during != nil {
			during(c)
		}
		b, err := os.ReadFile(c.In.Join("in"))
		return partOutput{part{c.In, true}, string(b), c.In}, err
	})
}

type partConfig struct {
	Part part `json:"part"`
}

// checking reads a part.
var checking = Define("checking", 1, "", partConfig{}, func(_ context.Context, _ *Task, c partConfig) (partOutput, error) {
	b, err := os.ReadFile(c.Part.Data.Join("in"))
	return partOutput{Part: c.Part, Text: string(b)}, err
})

// outsideRecipe refers to a tree, and reads it in two steps, of which the second is handed what the first
// was.
func outsideRecipe(tree string, during func(c referConfig)) *Recipe {
	return recipe(step("a", referring(during), map[string]any{"in": artifacts.Local(tree)}),
		step("b", checking, map[string]any{"part": ref{"a", "part"}}),
		step("c", checking, map[string]any{"part": ref{"b", "part"}}))
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A tree that is referred to is read where it lies by all that check what they read, and is in
// the store under no name. Moved, it reruns nothing, and what is new finds it where it is now.
func TestReferred(t *testing.T) {
	t.Parallel()
	s, dir := openStore(t), t.TempDir()
	write(dir, "tree/in", "hello")
	tree := filepath.Join(dir, "tree")
	run := execute(t, s, outsideRecipe(tree, nil))
	for _, step := range run.Steps {
		if step.Err != nil || !strings.Contains(string(step.Record.Output), `"text":"hello"`) {
			t.Fatalf("%s: %s, %v", step.ID, step.Record.Output, step.Err)
		}
		if len(step.Record.Objects) != 1 || !step.Record.Objects[0].Outside {
			t.Errorf("%s refers to %+v", step.ID, step.Record.Objects)
		}
	}
	if _, err := s.Fetch(t.Context(), artifacts.File{Digest: artifacts.Sum([]byte("hello"))}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the file is in the store: %v", err)
	}
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(tree, moved); err != nil {
		t.Fatal(err)
	}
	if p := plan(t, s, outsideRecipe(moved, nil)); !p.AllCached() {
		t.Error("a moved tree reruns something")
	}
	again := plan(t, s, outsideRecipe(moved, nil), PlanOptions{Rerun: []string{"b"}})
	if run, err := Execute(t.Context(), again, s, RunOptions{}); err != nil || run.Status != Succeeded {
		t.Errorf("after the move: %v, %v", run.Steps[1].Err, err)
	}
	if _, err := os.Stat(filepath.Join(moved, "in")); err != nil {
		t.Error(err)
	}
}

// A copied tree and one that is read where it lies give the same keys to all that follows.
func TestReferredKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(dir, "tree/in", "hello")
	copying := Define("copy", 1, "", readConfig{}, func(_ context.Context, _ *Task, c readConfig) (partOutput, error) {
		return partOutput{Part: part{Data: c.In}}, nil
	})
	tree := map[string]any{"in": artifacts.Local(filepath.Join(dir, "tree"))}
	b := step("b", checking, map[string]any{"part": ref{"a", "part"}})
	referred := execute(t, openStore(t), recipe(step("a", referring(nil), tree), b))
	copied := execute(t, openStore(t), recipe(step("a", copying, tree), b))
	if x, y := referred.Steps[1].Record.Action, copied.Steps[1].Record.Action; x != y || x.IsZero() {
		t.Errorf("%s and %s", x, y)
	}
}

// A tree that is written to while it is read has no result, not even if it is as before in the
// end; a reader that checks nothing is not handed it; and one in the store may be collected.
func TestReferredMistakes(t *testing.T) {
	t.Parallel()
	back := func(c referConfig) {
		for _, text := range []string{"other", "hello"} {
			if err := os.WriteFile(c.In.Join("in"), []byte(text), 0o666); err != nil {
				panic(err)
			}
		}
	}
	s, dir := openStore(t), t.TempDir()
	write(dir, "tree/in", "hello")
	tree := filepath.Join(dir, "tree")
	run := execute(t, s, outsideRecipe(tree, back))
	if err := fmt.Sprint(run.Steps[0].Err); !strings.Contains(err, tree+" was written to while it was read") {
		t.Error(err)
	}
	run = execute(t, s, recipe(step("a", referring(nil), map[string]any{"in": artifacts.Local(tree)}),
		step("b", whole, map[string]any{"in": ref{"a", "tree"}})))
	if err := fmt.Sprint(run.Steps[1].Err); !strings.Contains(err, "is read where it lies, at "+tree) {
		t.Error(err)
	}
	kept, err := s.Import(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	laid, err := s.Fetch(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewPlan(t.Context(), outsideRecipe(laid.Path, nil), s, PlanOptions{})
	if err == nil || !strings.Contains(err.Error(), "test.hcl:a.in: step a: in: "+laid.Path+" is in the store") {
		t.Error(err)
	}
}

// A checkpoint is of a tree as it was: what was made of another state of it is not gone on from.
func TestReferredCheckpoint(t *testing.T) {
	t.Parallel()
	s, dir := openStore(t), t.TempDir()
	write(dir, "tree/in", "hello")
	var seen []string
	attempt := 0
	resuming := Define("refer", 1, "", referConfig{}, func(_ context.Context, task *Task, _ referConfig) (numOutput, error) {
		names, err := os.ReadDir(task.Checkpoint())
		seen = append(seen, fmt.Sprint(len(names)))
		write(task.Checkpoint(), "note", "half")
		if attempt++; attempt < 4 {
			err = errors.Join(err, errors.New("stopped"))
		}
		return numOutput{}, err
	})
	r := recipe(step("a", resuming, map[string]any{"in": artifacts.Local(filepath.Join(dir, "tree"))}))
	execute(t, s, r)
	execute(t, s, r)
	write(dir, "tree/in", "other")
	write(dir, "tree/in", "hello")
	execute(t, s, r)
	if run := execute(t, s, r); run.Status != Succeeded {
		t.Fatal(run.Steps[0].Err)
	}
	if got, want := strings.Join(seen, " "), "0 1 0 1"; got != want {
		t.Errorf("files in the checkpoint: %s, want %s", got, want)
	}
}
