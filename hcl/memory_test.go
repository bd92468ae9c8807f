package hcl

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/pipeline"
)

// However many instances read them, a for_each over outputs and a list without each
// are evaluated once for each output that becomes known, whatever other outputs do:
// how often is counted by a function in the expressions.
func TestEvaluatedOnce(t *testing.T) {
	const n = 50
	type config struct {
		Text string   `json:"text,omitempty"`
		List []string `json:"list,omitempty"`
	}
	type output struct {
		Text string `json:"text"`
	}
	stage := pipeline.Define("echo", 1, "Echoes.", config{}, func(context.Context, *pipeline.Task, config) (output, error) { panic("not run") })
	for _, test := range []struct{ name, text string }{
		{"for_each", `stage "echo" "b" {
  for_each = { for k, s in stage.a : k => upper(s.text) }
  text     = each.value
}`},
		{"local", `locals { all = { for k, s in stage.a : k => upper(s.text) } }
stage "echo" "b" {
  for_each = local.all
  text     = local.all[each.key]
}`},
		{"attribute", `stage "echo" "b" {
  for_each = stage.a
  list     = [for k, s in stage.a : upper(s.text)]
}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "recipe.hcl")
			text := fmt.Sprintf("stage \"echo\" \"a\" {\n  for_each = { for i in range(%d) : \"i${i}\" => i }\n}\n%s\n", n, test.text)
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			m := newRecipe(Options{Stages: []*pipeline.Stage{stage}})
			r := m.load(path)
			if d := m.diagnostics(); d.HasErrors() {
				t.Fatal(d)
			}
			calls := 0
			upper := m.root.root.Functions["upper"]
			m.root.root.Functions["upper"] = function.New(&function.Spec{
				Params: upper.Params(), Type: function.StaticReturnType(cty.String),
				Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { calls++; return upper.Call(args) },
			})
			known := new(pipeline.Outputs)
			for _, s := range r.Steps {
				if _, err := s.Attrs(known); err != nil {
					t.Fatal(err)
				}
				known.Set(s.ID, json.RawMessage(`{"text":"a"}`))
			}
			if calls != n {
				t.Errorf("%d instances that read %d outputs evaluated them %d times", n, n, calls)
			}
			known.Set(`a["i0"]`, json.RawMessage(`{"text":"changed"}`))
			for _, s := range r.Steps {
				if _, err := s.Attrs(known); err != nil {
					t.Fatal(err)
				}
			}
			if calls != 2*n {
				t.Errorf("after a change of one output they were evaluated %d times in all, want %d", calls, 2*n)
			}
		})
	}
}
