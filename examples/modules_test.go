package examples_test

import (
	"strings"
	"testing"
)

// A module that is used for two data sets gives each its steps, which wait for that set's own
// steps and for nothing of the other's.
func TestModules(t *testing.T) {
	run := runner(t)
	plan := run("plan", "modules/sets.hcl", "--store", t.TempDir())
	for _, set := range []string{"first", "second"} {
		for _, want := range []string{
			`+ module.search["SET"].widths `,
			`? module.search["SET"].supernet `,
			`known after module.search["SET"].widths, shapes["SET"]`,
			`known after module.search["SET"].supernet, shapes["SET"]`,
		} {
			if want = strings.ReplaceAll(want, "SET", set); !strings.Contains(plan, want) {
				t.Errorf("the plan does not say %q:\n%s", want, plan)
			}
		}
	}
	if !strings.HasSuffix(plan, "\n4 to run, 7 known after\n") {
		t.Errorf("the plan ends otherwise:\n%s", plan)
	}
	run("fmt", "--check", "modules/sets.hcl")
}
