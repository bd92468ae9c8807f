package hcl_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"eyrie/hcl"
	"eyrie/pipeline"
)

// Whatever an expression is made of: what it waits for is among the step's
// dependencies, something known early does not change when more is known, and
// nothing is unknown once all outputs are there.
func TestRandomExpressions(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	n := 500
	if testing.Short() {
		n = 100
	}
	checked := 0
	for range n {
		e := expression{rng}.any(4)
		r, diags := loadText(t, around+"  any = "+e+"\n}\n", hcl.Options{})
		if diags.HasErrors() {
			for _, d := range diags.All() {
				if strings.Contains(d.Summary, "cannot be evaluated") {
					t.Errorf("%s: %s", e, d.Detail)
				}
			}
			continue
		}
		s := step(t, r, `t["k"]`)
		early, err := s.Attrs(outputs{}.known())
		if err != nil {
			t.Fatalf("%s was checked, but: %v", e, err)
		}
		late, err := s.Attrs(done.known())
		if err != nil {
			continue // an output's value was not to the expression's liking
		}
		checked++
		if w := late["any"].Unknown; len(w) > 0 {
			t.Errorf("%s waits for %v when all is known", e, w)
		}
		for _, id := range early["any"].Unknown {
			if !slices.Contains(s.Deps, id) {
				t.Errorf("%s waits for %s, but depends only on %v", e, id, s.Deps)
			}
		}
		if len(early["any"].Unknown) == 0 && !reflect.DeepEqual(early["any"].Value, late["any"].Value) {
			t.Errorf("%s is %v early and %v later", e, early["any"].Value, late["any"].Value)
		}
		partly := outputs{"chip": done["chip"], `net["a"]`: done[`net["a"]`]}
		if a, err := s.Attrs(partly.known()); err == nil {
			for _, id := range a["any"].Unknown {
				if partly[id] != "" {
					t.Errorf("%s waits for %s, which is there", e, id)
				}
			}
		}
	}
	if checked < n/4 {
		t.Errorf("only %d of %d expressions were sound", checked, n)
	}
}

// What is remembered between the evaluations of a recipe is what it would be
// evaluated to: while more and more outputs become known, and some change, every
// step has the attributes, or the mistakes, that a recipe has that remembers nothing.
func TestRandomMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	n := 100
	if testing.Short() {
		n = 20
	}
	outside := strings.NewReplacer("each.key", `"k"`, "each.value", "2")
	checked := 0
	for range n {
		x := expression{rng}
		text := around + "  any = " + x.any(3) + "\n  title = " + x.string(1) + "\n}\n" +
			"locals {\n  some = " + outside.Replace(x.any(3)) + "\n}\n" +
			`stage "table" "d" {
  for_each = { for k, s in stage.net : k => ` + outside.Replace(x.any(2)) + ` }
  one      = each.value
  any      = [local.some, ` + x.pick("each.key", "1", outside.Replace(x.any(2))) + `]
}
`
		r, diags := loadText(t, text, hcl.Options{})
		if diags.HasErrors() {
			continue
		}
		checked++
		steps := []string{"chip", `net["a"]`, `net["b"]`, "old"}
		rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		growing, now := new(pipeline.Outputs), outputs{}
		for _, id := range append(steps, `net["a"]`) {
			now[id] = done[id]
			if growing.Version("net") == 2 && id == `net["a"]` {
				now[id] = strings.Replace(done[id], "0.07", "0.06", 1)
			}
			growing.Set(id, []byte(now[id]))
			for _, s := range r.Steps {
				got, gotErr := s.Attrs(growing)
				fresh, _ := loadText(t, text, hcl.Options{})
				want, wantErr := step(t, fresh, s.ID).Attrs(now.known())
				if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !reflect.DeepEqual(withoutPos(got), withoutPos(want)) {
					t.Fatalf("%s\nafter %s is known, step %s has\n%v, %v, want\n%v, %v", text, id, s.ID, got, gotErr, want, wantErr)
				}
			}
		}
	}
	if checked < n/4 {
		t.Errorf("only %d of %d recipes were sound", checked, n)
	}
}

// withoutPos returns attributes without their places, which name a temporary file.
func withoutPos(attrs pipeline.Attrs) pipeline.Attrs {
	bare := make(pipeline.Attrs, len(attrs))
	for name, a := range attrs {
		copied := *a
		copied.Pos = ""
		bare[name] = &copied
	}
	return bare
}

// expression makes random expressions that are mostly sound.
type expression struct{ *rand.Rand }

func (x expression) pick(all ...string) string { return all[x.IntN(len(all))] }

func (x expression) number(depth int) string {
	if depth == 0 {
		return x.pick("1", "0.5", "each.value", "stage.chip.residual", `stage.net["a"].best.latency`, `stage.net["b"].best.accuracy`,
			"local.far", `stage.net["a"].extra.n`, "stage.chip.platform.memory", `stage.net[each.key].best.latency`, "local.half")
	}
	n := func() string { return x.number(depth - 1) }
	switch x.IntN(9) {
	case 0:
		return "(" + n() + x.pick(" + ", " * ", " - ") + n() + ")"
	case 1:
		return fmt.Sprintf("(%s ? %s : %s)", x.bool(depth-1), n(), n())
	case 2:
		return fmt.Sprintf("%s(%s, %s)", x.pick("min", "max"), n(), n())
	case 3:
		return fmt.Sprintf("length(%s)", x.list(depth-1))
	case 4:
		return fmt.Sprintf("sum(%s)", x.list(depth-1))
	case 5:
		return fmt.Sprintf("try(%s, %s)", x.pick("stage.left_out.text", `stage.net["zz"]`, n()), n())
	case 6:
		return fmt.Sprintf("%s[%d]", x.list(depth-1), x.IntN(2))
	case 7:
		return fmt.Sprintf("published(%s, %s)", n(), x.string(0))
	}
	return n()
}

func (x expression) bool(depth int) string {
	if depth == 0 {
		return x.pick("true", "false", "stage.chip.residual > 0", "stage.left_out == null", "stage.chip == null", `each.key == "k"`)
	}
	switch x.IntN(4) {
	case 0:
		return fmt.Sprintf("(%s %s %s)", x.number(depth-1), x.pick("<", ">=", "==", "!="), x.number(depth-1))
	case 1:
		return fmt.Sprintf("(%s %s %s)", x.bool(depth-1), x.pick("&&", "||"), x.bool(depth-1))
	case 2:
		return fmt.Sprintf("can(%s)", x.any(depth-1))
	}
	return "!(" + x.bool(depth-1) + ")"
}

func (x expression) string(depth int) string {
	if depth == 0 {
		return x.pick(`"a"`, "each.key", "stage.old.text", `stage.net["b"].best.label`, "var.mode")
	}
	switch x.IntN(4) {
	case 0:
		return fmt.Sprintf(`"x${%s}y${%s}"`, x.number(depth-1), x.string(depth-1))
	case 1:
		return fmt.Sprintf(`join(",", %s)`, x.list(depth-1))
	case 2:
		return fmt.Sprintf(`upper(%s)`, x.string(depth-1))
	}
	return fmt.Sprintf(`format("%%v", %s)`, x.any(depth-1))
}

func (x expression) list(depth int) string {
	if depth == 0 {
		return x.pick("[1, 2]", "[]", `stage.net["a"].front[*].latency`, `[for k, s in stage.net : s.best.latency]`, "values(stage.net)[*].best.accuracy")
	}
	switch x.IntN(6) {
	case 0:
		return fmt.Sprintf("[%s, %s]", x.number(depth-1), x.number(depth-1))
	case 1:
		return fmt.Sprintf("concat(%s, %s)", x.list(depth-1), x.list(depth-1))
	case 2:
		return fmt.Sprintf("[for v in %s : v + %s if v < %s]", x.list(depth-1), x.number(depth-1), x.number(depth-1))
	case 3:
		return fmt.Sprintf("%s(%s)", x.pick("reverse", "distinct", "tolist", "toset", "flatten"), x.list(depth-1))
	case 4:
		return fmt.Sprintf("(%s ? %s : %s)", x.bool(depth-1), x.list(depth-1), x.list(depth-1))
	}
	return fmt.Sprintf("values({ a = %s, (%s) = %s })", x.number(depth-1), x.string(depth-1), x.number(depth-1))
}

func (x expression) any(depth int) string {
	switch x.IntN(7) {
	case 0:
		return x.bool(depth)
	case 1:
		return x.string(depth)
	case 2:
		return x.list(depth)
	case 3:
		return fmt.Sprintf("{ a = %s, b = %s }", x.number(max(depth-1, 0)), x.list(max(depth-1, 0)))
	case 4:
		return x.pick("stage.net", "stage.chip", `stage.net["a"].front`, "stage.old.rows", "merge(stage.chip.platform, { x = "+x.number(max(depth-1, 0))+" })", "local.best", "{ for k, s in stage.net : s.best.label => k }")
	}
	return x.number(depth)
}
