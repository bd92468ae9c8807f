package pipeline

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/store/storetest"
)

// A new recipe runs what is known and waits for the rest; a finished one is cached.
func TestVerdicts(t *testing.T) {
	store := storetest.New(t)
	r := recipe(chain(3)...)
	p := plan(t, store, r)
	if got, want := verdicts(p), "s0:run s1:unknown s2:unknown"; got != want {
		t.Errorf("before: %s, want %s", got, want)
	}
	if got := fmt.Sprint(p.Steps[0].Reasons, p.Steps[1].After, p.Steps[2].After); got != "[no result yet] [s0] [s1]" {
		t.Errorf("reasons: %s", got)
	}
	if got, want := endings(execute(t, store, r)), "s0:done s1:done s2:done"; got != want {
		t.Errorf("run: %s, want %s", got, want)
	}
	if got, want := verdicts(plan(t, store, r)), "s0:cached s1:cached s2:cached"; got != want {
		t.Errorf("after: %s, want %s", got, want)
	}
}

// A changed attribute is the reason, with its old and new value.
func TestPlanSaysWhatChanged(t *testing.T) {
	store := storetest.New(t)
	execute(t, store, recipe(step("a", sum, map[string]any{"x": 1.0, "y": 1.0})))
	p := plan(t, store, recipe(step("a", sum, map[string]any{"x": 2.0, "y": 1.0})))
	if got := fmt.Sprint(p.Steps[0].Verdict, " ", p.Steps[0].Reasons); got != "run [x: 1 → 2]" {
		t.Errorf("got %s", got)
	}
}

// The reason is known also when what the step made last is lost.
func TestPlanSaysWhatChangedAlthoughTheResultIsLost(t *testing.T) {
	dir := t.TempDir()
	store, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	in := filepath.Join(dir, "in")
	if err := os.WriteFile(in, []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	execute(t, store, recipe(step("a", reader, map[string]any{"in": artifacts.Local(in)})))
	if err := os.RemoveAll(filepath.Join(dir, "store", "objects")); err != nil {
		t.Fatal(err)
	}
	p := plan(t, store, recipe(step("a", reader, map[string]any{"in": artifacts.Local(in)})))
	if got := fmt.Sprint(p.Steps[0].Verdict, " ", p.Steps[0].Reasons); got != "run [its result is no longer in the store]" {
		t.Errorf("got %s", got)
	}
	if err := os.WriteFile(in, []byte("hello, world"), 0o666); err != nil {
		t.Fatal(err)
	}
	p = plan(t, store, recipe(step("a", reader, map[string]any{"in": artifacts.Local(in)})))
	if got := fmt.Sprint(p.Steps[0].Verdict, " ", p.Steps[0].Reasons); got != "run [in: content 2cf24dba5fb0 → content 09ca7e4eaa6e]" {
		t.Errorf("got %s", got)
	}
}

// A step whose upstream ran again with an equal output stays cached: only what
// its expressions really used is in its key.
func TestEarlyCutoff(t *testing.T) {
	store := storetest.New(t)
	build := func(x float64) *Recipe {
		return recipe(
			step("a", sum, map[string]any{"x": x}),
			step("parity", echo, map[string]any{"text": ref{"a", "parity"}}),
			step("sum", sum, map[string]any{"x": ref{"a", "sum"}, "y": 5.0}))
	}
	execute(t, store, build(1))
	if got, want := endings(execute(t, store, build(3))), "a:done parity:cached sum:done"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What cannot change the result is not a reason to run.
func TestAttributesOutsideTheKey(t *testing.T) {
	store := storetest.New(t)
	execute(t, store, recipe(step("a", sum, map[string]any{"x": 1.0})))
	p := plan(t, store, recipe(step("a", sum, map[string]any{"x": 1.0, "quiet": true})))
	if p.Steps[0].Verdict != Cached {
		t.Errorf("quiet is not part of the key, and the verdict is %s: %v", p.Steps[0].Verdict, p.Steps[0].Reasons)
	}
}

// Two steps that ask for the same are one action.
func TestEqualStepsShareAResult(t *testing.T) {
	store := storetest.New(t)
	r := recipe(step("a", sum, map[string]any{"x": 1.0}), step("b", sum, map[string]any{"x": 1.0}))
	if got, want := endings(execute(t, store, r, RunOptions{Jobs: 1})), "a:done b:cached"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A file's content is in the key, its name and time are not.
func TestFilesAreKeyedByContent(t *testing.T) {
	store := storetest.New(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	build := func(path string) *Recipe {
		return recipe(step("a", reader, map[string]any{"in": artifacts.Local(path)}))
	}
	execute(t, store, build(write("one", "hello")))
	if p := plan(t, store, build(write("two", "hello"))); p.Steps[0].Verdict != Cached {
		t.Errorf("same content under another name: %s %v", p.Steps[0].Verdict, p.Steps[0].Reasons)
	}
	p := plan(t, store, build(write("one", "changed")))
	if got := fmt.Sprint(p.Steps[0].Reasons); !strings.HasPrefix(got, "[in: content ") {
		t.Errorf("other content: %s %s", p.Steps[0].Verdict, got)
	}
	_, err := NewPlan(t.Context(), build(filepath.Join(dir, "none")), store, PlanOptions{})
	if err == nil || !strings.Contains(err.Error(), "test.hcl:a.in: step a: in: there is no file") {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	_, err = NewPlan(t.Context(), build(dir), store, PlanOptions{})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "link")+" cannot be read: is it a link that leads nowhere?") {
		t.Errorf("a link that leads nowhere: %v", err)
	}
}

// All mistakes come at once.
func TestPlanJoinsMistakes(t *testing.T) {
	bad := func() map[string]any { return map[string]any{"limit": map[string]any{"latency": 2.0}} }
	_, err := NewPlan(t.Context(), recipe(step("a", schemaStage, bad()), step("b", schemaStage, bad())), storetest.New(t), PlanOptions{})
	if err == nil || strings.Count(err.Error(), "write at most 1 s") != 2 {
		t.Errorf("got %v", err)
	}
}

// A target brings what it needs and nothing else; rerun runs what is cached and
// leaves open what follows.
func TestTargetsAndRerun(t *testing.T) {
	store := storetest.New(t)
	r := recipe(append(chain(3), step("other", echo, map[string]any{"text": "x"}))...)
	p := plan(t, store, r, PlanOptions{Targets: []string{"s1"}})
	if got, want := verdicts(p), "s0:run s1:unknown"; got != want {
		t.Errorf("target: %s, want %s", got, want)
	}
	execute(t, store, r)
	p = plan(t, store, r, PlanOptions{Rerun: []string{"s0"}})
	if got, want := verdicts(p), "s0:run s1:unknown s2:cached other:cached"; got == want {
		t.Errorf("s2 waits for s1, which is not known")
	} else if want := "s0:run s1:unknown s2:unknown other:cached"; got != want {
		t.Errorf("rerun: %s, want %s", got, want)
	}
	run, err := Execute(t.Context(), p, store, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := endings(run), "s0:done s1:cached s2:cached other:cached"; got != want {
		t.Errorf("rerun: %s, want %s", got, want)
	}
	if _, err := NewPlan(t.Context(), r, store, PlanOptions{Targets: []string{"s1"}, Rerun: []string{"s2"}}); err == nil || !strings.Contains(err.Error(), "step s2 is to run again, but s1 does not need it") {
		t.Errorf("run again what no target needs: %v", err)
	}
	for _, opt := range []PlanOptions{{Targets: []string{"nope"}}, {Rerun: []string{"nope"}}} {
		if _, err := NewPlan(t.Context(), r, store, opt); err == nil || !strings.Contains(err.Error(), `no step "nope"`) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}

// A name stands for all instances of its for_each.
func TestTargetNamesAllInstances(t *testing.T) {
	r := recipe(step(`a["x"]`, sum, nil), step(`a["y"]`, sum, nil), step("b", sum, nil))
	p := plan(t, storetest.New(t), r, PlanOptions{Targets: []string{"a"}})
	if len(p.Steps) != 2 {
		t.Errorf("got %s", verdicts(p))
	}
}

func BenchmarkPlanCached(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		store := storetest.New(b)
		r := recipe(chain(n)...)
		execute(b, store, r)
		b.Run(fmt.Sprintf("steps=%d", n), func(b *testing.B) {
			for b.Loop() {
				if p := plan(b, store, r); p.Count(Cached) != n {
					b.Fatal("not cached")
				}
			}
		})
	}
}

// However many processors look steps up side by side, the plan is the same: its order, its
// verdicts and reasons, and the order of its mistakes.
func TestPlanDoesNotDependOnProcessors(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 1))
	kept := storetest.New(t)
	var steps []*Step
	for i := range 200 {
		attrs := map[string]any{"x": float64(i)}
		for range rng.IntN(3) {
			if i > 0 {
				attrs[[]string{"x", "y"}[rng.IntN(2)]] = ref{fmt.Sprintf("s%d", rng.IntN(i)), "sum"}
			}
		}
		steps = append(steps, step(fmt.Sprintf("s%d", i), sum, attrs))
	}
	execute(t, kept, recipe(steps[:150]...))
	for _, i := range []int{7, 40, 90} { // which those behind them follow
		steps[i] = step(steps[i].ID, sum, map[string]any{"x": -1.0})
	}
	for _, i := range []int{120, 60} {
		steps[i] = step(steps[i].ID, sum, map[string]any{"x": "no number"})
	}
	describe := func(processors int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		p, err := NewPlan(t.Context(), recipe(steps...), kept, PlanOptions{})
		var text strings.Builder
		for _, s := range p.Steps {
			fmt.Fprintln(&text, s.ID, s.Verdict, s.Reasons, s.After, s.Action, s.Record != nil)
		}
		return fmt.Sprint(text.String(), err)
	}
	want := describe(1)
	if !strings.Contains(want, "step s60: x") || strings.Index(want, "step s60: x") > strings.Index(want, "step s120: x") {
		t.Fatalf("the mistakes are not in order:\n%s", want)
	}
	for _, processors := range []int{2, 8} {
		if got := describe(processors); got != want {
			t.Errorf("with %d processors the plan is\n%s\nwant\n%s", processors, got, want)
		}
	}
}
