package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"eyrie/artifacts/store/storetest"
)

// A stage can ask which steps it rests on, and how they came to their results;
// steps that it does not need are not among them.
func TestLineage(t *testing.T) {
	store := storetest.New(t)
	var got []string
	ask := stage(func(_ context.Context, task *Task) error {
		got = nil
		for _, a := range task.Lineage() {
			got = append(got, fmt.Sprintf("%s cached=%v finished=%v deps=%v because=%v output=%s", a.ID, a.Cached, a.Finished, a.Deps, a.Because, a.Output))
			if a.Action.IsZero() || a.Run == "" || !strings.Contains(string(a.Attrs), `"x"`) {
				t.Errorf("%+v", a)
			}
		}
		return nil
	}).WithLineage()
	graph := func(x float64) *Recipe {
		return recipe(step("a", sum, map[string]any{"x": 1.0}), step("other", sum, map[string]any{"x": 5.0}),
			step("b", sum, map[string]any{"x": ref{"a", "sum"}, "y": 2.0}),
			step("page", ask, map[string]any{"x": ref{"b", "sum"}, "y": x}))
	}
	execute(t, store, graph(1))
	want := "a cached=false finished=true deps=[] because=[no result yet] output=" // and b likewise
	if len(got) != 2 || !strings.HasPrefix(got[0], want) || !strings.HasPrefix(got[1], "b cached=false finished=true deps=[a]") {
		t.Errorf("the first time: %q", got)
	}
	execute(t, store, graph(2))
	if len(got) != 2 || !strings.HasPrefix(got[0], "a cached=true finished=true") {
		t.Errorf("from the store: %q", got)
	}
}

// Anchors differ where steps do.
func TestAnchor(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"a", "a-b", "a_b", `a["b"]`, `a["b c"]`, `a["b-c"]`, "a.b"} {
		anchor := Anchor(id)
		if other, ok := seen[anchor]; ok || strings.ContainsAny(anchor, ` "[]`) {
			t.Errorf("%q and %q have the anchor %s", id, other, anchor)
		}
		seen[anchor] = id
	}
}
