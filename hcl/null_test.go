package hcl_test

import (
	"maps"
	"reflect"
	"strings"
	"testing"

	"eyrie/hcl"
)

// A null without a type is one like any other, whether it was written or comes from a
// step's output: what an expression makes of it is known.
func TestNullsAreKnown(t *testing.T) {
	known := maps.Clone(done)
	known[`net["a"]`] = strings.Replace(done[`net["a"]`], `"extra":{"n":3}`, `"extra":{"n":3,"name":"b","tag":null,"tags":[null,"x"]}`, 1)
	for expression, want := range map[string]any{
		`contains(["fast"], null)`:             false,
		`contains([null], null)`:               true,
		`contains([], null)`:                   false,
		`contains([["a", null]], ["a", null])`: true,
		`index(["a", null], null)`:             1.0,
		`[for x in [{ name = "b", tag = null }] : { a = x.name } if !contains(["fast"], x.tag)]`: []any{map[string]any{"a": "b"}},
		`{ a = null } == { a = null }`:                               true,
		`{ a = null } == { a = 1 }`:                                  false,
		`[1, null] != [1, null]`:                                     false,
		`length(distinct([null, null, "a"]))`:                        2.0,
		`coalesce(null, "x")`:                                        "x",
		`concat([null], [1])`:                                        []any{nil, 1.0},
		`merge({ a = null }, { b = 1 })`:                             map[string]any{"a": nil, "b": 1.0},
		`jsonencode([null])`:                                         "[null]",
		`lookup({ a = null }, "b", "none")`:                          "none",
		`flatten([[null], 1])`:                                       []any{nil, 1.0},
		`contains(["fast"], stage.net["a"].extra.tag)`:               false,
		`contains([null, "b"], stage.net["a"].extra.tag)`:            true,
		`index(stage.net["a"].extra.tags, stage.net["a"].extra.tag)`: 0.0,
		`stage.net["a"].extra.tags == [null, "x"]`:                   true,
		`stage.net["a"].extra == null`:                               false,
		`contains(["hm"], stage.net["a"].note) || contains([null], stage.net["a"].note)`: true,
		`[for x in [stage.net["a"].extra] : x.name if !contains(["fast"], x.tag)]`:       []any{"b"},
	} {
		a, err := evaluate(t, "any", expression, known.known())
		if err != nil || !reflect.DeepEqual(a.Value, want) || len(a.Unknown) > 0 || len(a.Parts) > 0 {
			t.Errorf("%s is %#v, %v, waits for %v; want %#v", expression, a.Value, err, a.Unknown, want)
		}
	}
}

// Where everything that an expression refers to is known and its value is not, that is a
// mistake at the expression, wherever it stands. Nothing that is written leads there, so
// the recipe's own variables do.
func TestNeverKnown(t *testing.T) {
	for _, text := range []string{
		`stage "table" "t" { any = HERE }`,
		`stage "table" "t" { when = HERE == "a" }`,
		`stage "table" "t" { for_each = [HERE] }`,
		`locals { x = [HERE] }`,
		`output "o" { value = { a = HERE } }`,
	} {
		_, diags := hcl.LoadWithUnknown(recipe(t, strings.ReplaceAll(text, "HERE", "trim(chomp(unknown()), \"x\")")), hcl.Options{Stages: testStages})
		if err := diags.Error(); !diags.HasErrors() || !strings.Contains(err, "Never known") || !strings.Contains(err, "trim, chomp") {
			t.Errorf("%s: %v; want that it is never known, and by what function", text, err)
		}
	}
}
