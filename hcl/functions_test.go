package hcl_test

import (
	"reflect"
	"strings"
	"testing"

	"eyrie/hcl"
)

// Each function does what its documentation says.
func TestFunctions(t *testing.T) {
	l := func(all ...any) []any { return append([]any{}, all...) }
	tests := map[string]any{
		`abs(-2)`:               1 + 1.0,
		`ceil(1.2)`:             2.0,
		`floor(-1.2)`:           -2.0,
		`log(8, 2)`:             3.0,
		`max(1, 3, 2)`:          3.0,
		`min([4, 3]...)`:        3.0,
		`parseint("ff", 16)`:    255.0,
		`pow(2, 10)`:            1024.0,
		`pow(3, -1.7)`:          0.1544876855906566,
		`signum(-3)`:            -1.0,
		`mean([0.1, 0.2, 0.6])`: 0.3,
		`stddev([2, 4, 4, 4, 5, 5, 7, 9]) * stddev([1, 8])`: 10.583005244258363, // √(32/7) · √(49/2)
		`sum([0.1, 0.2])`:                        0.3,
		`sum([])`:                                0.0,
		`chunklist([1, 2, 3], 2)`:                l(l(1.0, 2.0), l(3.0)),
		`coalesce(null, "x", "y")`:               "x",
		`coalescelist([], [1])`:                  l(1.0),
		`compact(["", "a"])`:                     l("a"),
		`concat([1], ["a"])`:                     l(1.0, "a"),
		`contains(["a"], "a")`:                   true,
		`distinct([1, 1, 2])`:                    l(1.0, 2.0),
		`element([1, 2], 3)`:                     2.0,
		`flatten([1, [2, [3]]])`:                 l(1.0, 2.0, 3.0),
		`index(["b", "a"], "a")`:                 1.0,
		`keys({ b = 1, a = 2 })`:                 l("a", "b"),
		`length({ a = 1 }) + length("üb")`:       3.0,
		`length([]) + length(toset([1, 1]))`:     1.0,
		`lookup({ a = 1 }, "b", 9)`:              9.0,
		`merge({ a = 1 }, { a = 2, b = 3 })`:     map[string]any{"a": 2.0, "b": 3.0},
		`range(3)`:                               l(0.0, 1.0, 2.0),
		`range(1, 3)`:                            l(1.0, 2.0),
		`range(3, 1)`:                            l(),
		`range(3, 0, -2)`:                        l(3.0, 1.0),
		`length(range(100000))`:                  100000.0,
		`reverse([1, "a"])`:                      l("a", 1.0),
		`setintersection([1, 2], [2, 3])`:        l(2.0),
		`length(setproduct(["a", "b"], [1, 2]))`: 4.0,
		`setsubtract([1, 2], [2])`:               l(1.0),
		`setunion([1], [2])`:                     l(1.0, 2.0),
		`slice([1, 2, 3], 1, 2)`:                 l(2.0),
		`sort(["b", "a"])`:                       l("a", "b"),
		`values({ b = 1, a = 2 })`:               l(2.0, 1.0),
		`zipmap(["a"], [1])`:                     map[string]any{"a": 1.0},
		`chomp("x\n")`:                           "x",
		`format("%.1f ms", 87)`:                  "87.0 ms",
		`formatlist("%s!", ["a", "b"])`:          l("a!", "b!"),
		`indent(2, "a\nb")`:                      "a\n  b",
		`join("-", ["a", "b"])`:                  "a-b",
		`lower("A")`:                             "a",
		`regex("[0-9]+", "a12")`:                 "12",
		`regexall("[0-9]", "1a2")`:               l("1", "2"),
		`regexreplace("a1", "[0-9]", "x")`:       "ax",
		`replace("aa", "a", "b")`:                "bb",
		`split(",", "a,b")`:                      l("a", "b"),
		`strrev("ab")`:                           "ba",
		`substr("abc", 1, 1)`:                    "b",
		`title("a b")`:                           "A B",
		`trim("xax", "x")`:                       "a",
		`trimprefix("xa", "x")`:                  "a",
		`trimspace(" a ")`:                       "a",
		`trimsuffix("ax", "x")`:                  "a",
		`upper("a")`:                             "A",
		`csvdecode("a,b\n1,2")`:                  l(map[string]any{"a": "1", "b": "2"}),
		`jsondecode("{\"a\": [1, null]}")`:       map[string]any{"a": l(1.0, nil)},
		`jsonencode({ a = [1, null] })`:          `{"a":[1,null]}`,
		`can(tonumber("x"))`:                     false,
		`can(tonumber("1"))`:                     true,
		`can(log(-1, 10)) || can(pow(-1, 0.5))`:  false,
		`try(tonumber("x"), 5)`:                  5.0,
		`tobool("true")`:                         true,
		`tolist([1, "a"])`:                       l("1", "a"),
		`tomap({ a = 1 })`:                       map[string]any{"a": 1.0},
		`tonumber("0.087")`:                      0.087,
		`toset(["b", "a", "b"])`:                 l("a", "b"),
		`tostring(0.5)`:                          "0.5",
		`measured(1, "board")`:                   1.0,
		`published([1], "paper")`:                l(1.0),
		`file("test.hcl") != ""`:                 true,
		`fileexists("nowhere")`:                  false,
		`fileexists("test.hcl")`:                 true,
	}
	for expression, want := range tests {
		a, err := evaluate(t, "any", expression, outputs{}.known())
		if err != nil || !reflect.DeepEqual(a.Value, want) {
			t.Errorf("%s is %#v, %v; want %#v", expression, a.Value, err, want)
		}
	}
	for _, f := range hcl.Functions() {
		if !strings.HasPrefix(f.Usage, f.Name+"(") || f.Doc == "" || f.Doc[len(f.Doc)-1] != '.' || f.Group == "" {
			t.Errorf("documentation of %s: %+v", f.Name, f)
		}
		called := false
		for expression := range tests {
			called = called || strings.Contains(expression, f.Name+"(")
		}
		if !called {
			t.Errorf("no test calls %s", f.Name)
		}
	}
}
