package hcl_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"eyrie/hcl"
	"eyrie/hcl/editor"
	"eyrie/hcl/source"
)

// open reads a recipe from text, in which | marks a place, and returns that.
func open(t testing.TB, text string) (*hcl.Draft, string, editor.Position) {
	t.Helper()
	before, after, ok := strings.Cut(text, "|")
	if !ok {
		t.Fatal("no place is marked")
	}
	path := filepath.Join(t.TempDir(), "test.hcl")
	m := hcl.Open(path, hcl.Options{Stages: testStages, Files: source.Overlay(source.Disk, map[string][]byte{path: []byte(before + after)})})
	line := 1 + strings.Count(before, "\n")
	column := 1 + len([]rune(before[strings.LastIndex(before, "\n")+1:]))
	at := m.Position(path, line, column)
	if at.Byte != len(before) || at.Line != line || at.Column != column {
		t.Fatalf("line %d, column %d is at byte %d, want %d", line, column, at.Byte, len(before))
	}
	return m, path, at
}

// edited is the recipe around the lines under test.
const edited = `
variable "mode" {
  description = "How fast."
  default     = "fast"
}
variable "secret" {
  default   = "s3cret"
  sensitive = true
}
locals {
  half = 0.5
  best = stage.net["a"].best
  opts = { deep = [1, 2], wide = true }
}
stage "calibrate" "chip" { policy = "tiled" }
stage "search" "net" {
  for_each = { a = 1, "b c" = 2 }
  platform = stage.chip.platform
  widths   = [1]
  limit    = { latency = each.value / 2 }
}
`

// labels returns what is offered, in short.
func labels(c editor.Completion) string {
	var all []string
	for _, n := range c.Candidates {
		all = append(all, n.Label)
	}
	return strings.Join(all, " ")
}

// What may be written at a place is offered there, whatever else is half typed.
func TestComplete(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		// Blocks and their attributes.
		{"|", "variable locals stage module output"},
		{"st|", "stage"},
		{"stage \"|", "calibrate search table"},
		{"stage \"se|\" \"x\" {\n}", "search"},
		{"stage |", "calibrate search table"},
		{"stage \"table\" \"|", ""},
		{"stage \"search\" \"x\" {\n  |", "platform limit widths weights name rounds greedy stops scale for_each when depends_on reveal retry timeout resources"},
		{"stage \"search\" \"x\" {\n  widths = [1]\n  |\n  limit = { latency = 1 }\n  platform = local.p\n}", "weights name rounds greedy stops scale for_each when depends_on reveal retry timeout resources"},
		{"stage \"search\" \"x\" {\n  wi|dths = [1]\n}", "widths"},
		{"stage \"search\" \"x\" {\n  limit = { |", "latency energy"},
		{"stage \"search\" \"x\" {\n  limit = {\n    latency = 1\n    |\n  }\n}", "energy"},
		{"stage \"search\" \"x\" {\n  limit = { latency = 1, en|", "energy"},
		{"stage \"search\" \"x\" {\n  limit {\n    |\n  }\n}", "latency energy"},
		{"stage \"search\" \"x\" {\n  stops = [{ latency = 1 }, { |", "latency energy"},
		{"stage \"search\" \"x\" {\n  stops {\n    latency = 1\n  }\n  st|\n}", "stops"},
		{"stage \"search\" \"x\" {\n  resources {\n    |", "cpus gpus memory"},
		{"stage \"nope\" \"x\" {\n  wh|\n}", "when"},
		{"variable \"x\" {\n  default = 1\n  |\n}", "type description sensitive validation"},
		{"variable \"x\" {\n  validation {\n  |", "condition error_message"},
		{"output \"x\" {\n  |", "value description sensitive"},
		{"locals {\n  |", ""},
		// Values.
		{"stage \"calibrate\" \"x\" {\n  policy = \"|\"\n}", "resident tiled"},
		{"stage \"calibrate\" \"x\" {\n  policy = \"ti|", "tiled"},
		{"stage \"calibrate\" \"x\" {\n  policy = res|", "resident"},
		{"stage \"calibrate\" \"x\" {\n  policy = var.mode == \"fast\" ? \"re|\" : \"tiled\"\n}", "resident"},
		{"stage \"search\" \"x\" {\n  greedy = t|", "true title tobool tolist tomap tonumber toset tostring trim trimprefix trimspace trimsuffix try"},
		{"locals {\n  x = va|\n}", "var values"},
		{"locals {\n  x = ea|\n}", ""},
		{"stage \"table\" \"x\" {\n  for_each = { a = 1 }\n  any = ea|\n}", "each"},
		{"locals {\n  x = \"stage.|\"\n}", ""},
		{"locals {\n  x = 1.|\n}", ""},
		{"# stage.|\n", ""},
		// References.
		{"locals {\n  x = var.|\n}", "mode secret"},
		{"locals {\n  x = var.m|", "mode"},
		{"locals {\n  x = local.|\n  y = 1\n}", "best half opts x y"},
		{"locals {\n  x = stage.|", "chip net"},
		{"locals {\n  x = stage.chip.|\n}", "platform residual table"},
		{"locals {\n  x = stage.chip.platform.|\n}", "name memory clock"},
		{"locals {\n  x = [1, max(2, stage.chip.re|\n}", "residual"},
		{"locals {\n  x = \"is ${stage.chip.|\"\n}", "platform residual table"},
		{"locals {\n  x = stage.net.|\n}", "a b c"},
		{"locals {\n  x = stage.net[\"|\n}", "a b c"},
		{"locals {\n  x = stage.net[\"|\"]\n}", "a b c"},
		{"locals {\n  x = stage.net[\"a|\"].best\n}", "a"},
		{"locals {\n  x = stage.net[\"a\"].|\n}", "best front extra weights note"},
		{"locals {\n  x = stage.net[\"a\"].best.|\n}", "latency accuracy widths label"},
		{"locals {\n  x = stage.net[\"a\"].front[0].|\n}", "latency accuracy widths label"},
		{"locals {\n  x = stage.net[\"a\"].front[*].|\n}", "latency accuracy widths label"},
		{"locals {\n  x = values(stage.net)[*].best.lat|\n}", "latency"},
		{"locals {\n  x = local.best.|\n}", "latency accuracy widths label"},
		{"locals {\n  x = local.opts.|\n}", "deep wide"},
		{"locals {\n  x = path.|\n}", "recipe file"},
		{"locals {\n  x = [for k, s in stage.net : s.best.|]\n}", "latency accuracy widths label"},
		{"locals {\n  x = [for k, s in stage.net : s.|", "best front extra weights note"},
		{"locals {\n  x = { for k, s in stage.net : k => [for f in s.front : f.lab|", "label"},
		{"locals {\n  x = [for stop in [1] : sto|", "stop"},
		{"locals {\n  x = [for stage in local.opts.deep : stage.|", ""},
		{"stage \"table\" \"x\" {\n  for_each = stage.net\n  any = each.|\n}", "key value"},
		{"stage \"table\" \"x\" {\n  for_each = stage.net\n  any = each.value.|\n}", "best front extra weights note"},
		{"stage \"table\" \"x\" {\n  for_each = { a = { left = 1 } }\n  any = each.value.|\n}", "left"},
		{"stage \"table\" \"x\" {\n  depends_on = [stage.|]\n}", "chip net x"},
		// A block that is not closed, before others that are.
		{"stage \"table\" \"x\" {\n  any = local.|\nlocals {\n  later = 1\n}\n", "best half opts"},
		{"stage \"table\" \"x\" {\n  any = stage.|\nstage \"table\" \"later\" {}\n", "chip later net x"},
		{"stage \"table\" \"x\" {\n\nstage \"search\" \"later\" {\n  for_each = stage.net\n  ro|\n}\n", "rounds"},
		{"stage \"table\" \"x\" {\n\nstage \"search\" \"later\" {\n  for_each = stage.net\n  rounds = each.value.be|\n}\n", "best"},
		// A reference half typed, on a line of its own.
		{"stage.|", "chip net"},
	} {
		m, path, at := open(t, edited+test.text)
		got := labels(m.Complete(path, at))
		if test.want == "resident" && strings.HasPrefix(got, "resident") {
			continue // functions begin like that as well
		}
		if got != test.want {
			t.Errorf("%s\noffers %s, want %s", test.text, got, test.want)
		}
	}
}

// What is offered is written in place of what is there.
func TestCompletionIsWritten(t *testing.T) {
	for text, want := range map[string]string{
		"locals {\n  x = stage.ne|t.best\n}":                       `  x = stage.net.best`,
		"locals {\n  x = stage.net.b|\n}":                          `  x = stage.net["b c"]`,
		"locals {\n  x = stage.net[\"b|\"].best\n}":                `  x = stage.net["b c"].best`,
		"locals {\n  x = stage.net[|]\n}":                          `  x = stage.net["a"]`,
		"stage \"calibrate\" \"x\" {\n  policy = |\n}":             `  policy = "resident"`,
		"stage \"calibrate\" \"x\" {\n  policy = \"old|\"\n}":      `  policy = "old"`,
		"stage \"calibrate\" \"x\" {\n  policy = \"t|iny\"\n}":     `  policy = "tiled"`,
		"stage \"calibrate\" \"x\" {\n  é = \"é${stage.chi|}\"\n}": `  é = "é${stage.chip}"`,
		"stage ta|":                   `stage "table"`,
		"output \"o\" { value = rou|": `output "o" { value = rou`,
	} {
		m, path, at := open(t, edited+text)
		before, after, _ := strings.Cut(edited+text, "|")
		c := m.Complete(path, at)
		got := before + after
		if len(c.Candidates) > 0 {
			got = got[:c.Range.Start.Byte] + c.Candidates[0].Insert + got[c.Range.End.Byte:]
		}
		if !strings.Contains(got[len(edited):], want) {
			t.Errorf("%s becomes\n%s, want %s", text, got[len(edited):], want)
		}
	}
}

// What stands at a place is described: attributes by their schema, references by what
// they lead to, functions by their usage.
func TestDescribe(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"stage \"calibrate\" \"x\" { pol|icy = \"tiled\" }", "attribute policy|what stays in memory|type: string|one of \"resident\", \"tiled\"|required|value: \"tiled\""},
		{"stage \"calibrate\" \"x\" { policy = \"ti|led\" }", "attribute policy|what stays in memory|type: string|one of \"resident\", \"tiled\"|required"},
		{"stage \"search\" \"x\" {\n  rou|nds = 1 + 2\n}", "attribute rounds|type: integer|at least 1|default: 10|value: 3"},
		{"stage \"search\" \"x\" {\n  limit = { late|ncy = 1 }\n}", "attribute latency|type: number|unit: s|at least 0|at most 1|required|value: 1"},
		{"stage \"search\" \"x\" {\n  limit {\n    ene|rgy = 1\n  }\n}", "attribute energy|type: number|unit: J|value: 1"},
		{"stage \"table\" \"x\" {\n  whe|n = false\n}", "attribute when|false leaves the step out|type: bool|value: false"},
		{"sta|ge \"table\" \"x\" {}", "block stage|A step of the recipe, or with for_each one for each element."},
		{"stage \"tab|le\" \"x\" {}", "stage \"table\"|Makes a table.|type: gives object {rows, text}"},
		{"locals { x = var.mo|de }", "variable mode|How fast.|type: string|value: \"fast\""},
		{"locals { x = v|ar.mode }", "variable mode|How fast.|type: string|value: \"fast\""},
		{"locals { x = var.sec|ret }", "variable secret|type: string|value: (sensitive)"},
		{"locals { x = local.ha|lf }", "local half|type: number|value: 0.5"},
		{"locals { x = local.op|ts }", "local opts|type: object({deep = tuple([number, number]), wide = bool})|value: { deep = [1, 2], wide = true }"},
		{"locals { x = local.opts.de|ep }", "local.opts.deep|type: tuple([number, number])|value: [1, 2]"},
		{"locals { x = local.opts.deep[1] + len|gth([1]) }", "length(value)|How many elements a list, map or object has, or characters a string."},
		{"locals { x = stage.ch|ip }", "stage chip|Fits a platform.|type: stage \"calibrate\", gives object {platform, residual, table}"},
		{"locals { x = stage.n|et }", "stage net|Searches.|type: stage \"search\", gives object {best, front, extra, weights, note}|value: for each of \"a\", \"b c\""},
		{"locals { x = stage.chip.resi|dual }", "stage.chip.residual|type: number|provenance: measured"},
		{"locals { x = stage.net[\"a\"].best.lat|ency }", "stage.net[\"a\"].best.latency|type: number|unit: s|provenance: modelled"},
		{"locals { x = [for s in stage.net : s.best.lat|ency] }", "s.best.latency|type: number|unit: s|provenance: modelled"},
		{"locals { x = [for f, s in { a = [1] } : s|[0]] }", "s|type: tuple([number])|value: [1]"},
		{"locals {\n  y = [1, \"a\", null]\n  x = { z = local.y|", "local y|type: tuple([number, string, any])|value: [1, \"a\", null]"},
		{"stage \"table\" \"x\" {\n  for_each = { a = 7 }\n  any = each.val|ue\n}", "each.value|type: number|value: 7"},
		{"stage \"table\" \"x\" {\n  for_each = { a = 7 }\n  any = each.ke|y\n}", "each.key|type: string|value: \"a\""},
		{"variable \"x|y\" {\n  type = list(string)\n  default = []\n}", "variable xy|type: list(string)|value: []"},
		{"output \"x|y\" { value = [stage.chip.residual, 1] }", "output xy|type: tuple([number, number])|value: [(known after chip), 1]"},
		{"locals { x = nope.no|pe }", ""},
		{"locals { x = 12|3 }", ""},
		{"# a com|ment", ""},
	} {
		m, path, at := open(t, edited+test.text)
		d, _ := m.Describe(path, at)
		if got := strings.ReplaceAll(d.String(), "\n", "|"); got != test.want {
			t.Errorf("%s is\n%s, want\n%s", test.text, got, test.want)
		}
	}
}

// A reference leads to the declaration, and that to all references.
func TestDefinition(t *testing.T) {
	for text, want := range map[string]string{
		"locals { x = var.mo|de }":                                                            `variable mode 2: 1`,
		"locals { x = va|r.mode }":                                                            `variable mode 2: 1`,
		"locals { x = \"${upper(var.mode|)}\" }":                                              `variable mode 2: 1`,
		"locals { x = stage.net[\"a\"].best.lat|ency }":                                       `stage net 16: 2`,
		"locals { x = stage.net[\"a|\"].best }":                                               `stage net 16: 2`,
		"locals { x = stage.chi|p.":                                                           `stage chip 15: 1`,
		"output \"o\" { value = [for s in [1] : local.ha|lf":                                  `local half 11: 1`,
		"locals { x|x = local.half }":                                                         `local xx 22: 0`,
		"locals {\n x|x = 1\n yy = local.xx + local.xx\n}":                                    `local xx 23: 2`,
		"locals { x = [for var in [{}] : var.mo|de] }":                                        ``,
		"locals { x = var.no|pe }":                                                            ``,
		"stage \"table\" \"t\" {\n  for_each = { a = 1 }\n  any = [each.ke|y, each.value]\n}": `each t 23: 2`,
		"output \"o|\" { value = 1 }":                                                         `output o 22: 0`,
	} {
		m, path, at := open(t, edited+text)
		got := ""
		if s, ok := m.Definition(path, at); ok {
			got = fmt.Sprintf("%s %s %d: %d", s.Kind, s.Name, s.At.Start.Line, len(m.References(path, at)))
		}
		if got != want {
			t.Errorf("%s leads to %q, want %q", text, got, want)
		}
	}
}

// All that a recipe declares is listed, in the order of the text, mistakes or not.
func TestSymbols(t *testing.T) {
	m, _, _ := open(t, edited+"output \"o\" {\n  description = \"An output.\"\n  value = [stage.chip.|\n}\nstage \"nope\" \"chip\" {")
	var got []string
	for _, s := range m.Symbols() {
		got = append(got, fmt.Sprintf("%s %s %s %q %d-%d", s.Kind, s.Name, s.Detail, s.Doc, s.Range.Start.Line, s.Range.End.Line))
	}
	want := []string{
		`variable mode string "How fast." 2-5`, `variable secret string "" 6-9`,
		`local half number "" 11-11`,
		`local best object({accuracy = number, label = string, latency = number, widths = list(number)}) "" 12-12`,
		`local opts object({deep = tuple([number, number]), wide = bool}) "" 13-13`,
		`stage chip calibrate "" 15-15`, `stage net search "" 16-21`, `output o any "An output." 22-26`,
	}
	if !slices.Equal(got[:min(len(want), len(got))], want) {
		t.Errorf("declares\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r, diags := m.Recipe(); r != nil || !diags.HasErrors() {
		t.Error("the recipe has no mistakes")
	}
}

// A recipe of several files is one: references lead from one file to another.
func TestDefinitionInAnotherFile(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "a.hcl", "locals { x = local.y }")
	b := write(t, dir, "b.hcl", "locals { y = 1 }")
	m := hcl.Open(dir, hcl.Options{Stages: testStages})
	s, ok := m.Definition(a, m.Position(a, 1, 21))
	if !ok || s.At.File != b || s.At.Start.Column != 10 {
		t.Errorf("leads to %+v", s)
	}
	if refs := m.References(b, s.At.Start); len(refs) != 1 || refs[0].File != a || refs[0].Start.Column != 20 {
		t.Errorf("is referred to at %+v", refs)
	}
}

// The names in a sensitive value are as sensitive.
func TestSensitiveTypesAreNotShown(t *testing.T) {
	const text = "variable \"secret\" {\n default = { hunter2 = 1 }\n sensitive = true\n}\nlocals { a = var.secret }\n"
	for _, place := range []string{"a = |var.secret", "a = var.|secret", "|a = var", "variable \"|secret"} {
		m, path, at := open(t, strings.Replace(text, strings.Replace(place, "|", "", 1), place, 1))
		d, ok := m.Describe(path, at)
		if !ok || strings.Contains(d.String(), "hunter2") {
			t.Errorf("%s: %v, %v", place, d, ok)
		}
		if all := fmt.Sprint(m.Symbols()); strings.Contains(all, "hunter2") {
			t.Errorf("%v", all)
		}
	}
}

// Wherever an editor asks in the recipes of the tests, which are full of mistakes, or
// in what is left of one when the rest is cut off, there is an answer without a panic.
func TestEditorAsksEverywhere(t *testing.T) {
	recipes, err := filepath.Glob("testdata/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range recipes {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := hcl.Open(path, hcl.Options{Stages: testStages})
		m.Symbols()
		for i := range len(text) + 1 {
			askAll(m, path, i)
		}
		for i := 0; i < len(text); i += 7 {
			m := hcl.Open(path, hcl.Options{Stages: testStages, Files: source.Overlay(source.Disk, map[string][]byte{path: text[:i]})})
			askAll(m, path, i)
		}
	}
}

// Several may ask at once, and while steps are evaluated.
func TestEditorAsksAtOnce(t *testing.T) {
	m, path, at := open(t, edited+"|")
	r, diags := m.Recipe()
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			for i := w; i < at.Byte; i += 4 {
				askAll(m, path, i)
			}
			m.Symbols()
			for _, s := range r.Steps {
				if _, err := s.Attrs(outputs{}.known()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

// FuzzEditor holds that whatever is typed there is an answer at every place, that it
// stays in the text, and that what is offered begins where it says.
func FuzzEditor(f *testing.F) {
	f.Add(edited, 30)
	f.Add("locals { x = [for k, s in stage.net : s.", 40)
	f.Add("stage \"search\" \"x\" {\n limit { \n latency = \"${each.value[\"", 50)
	f.Add("a = <<END\n${stage.\nEND\n", 14)
	f.Fuzz(func(t *testing.T, text string, at int) {
		if len(text) > 1<<12 || heavy([]byte(text)) {
			return
		}
		m := hcl.Open("fuzz.hcl", hcl.Options{Stages: testStages, Files: source.Overlay(source.Disk, map[string][]byte{"fuzz.hcl": []byte(text)})})
		askAll(m, "fuzz.hcl", at)
		at = min(max(at, 0), len(text))
		c := m.Complete("fuzz.hcl", editor.Position{Byte: at})
		if r := c.Range; len(c.Candidates) > 0 && (r.Start.Byte > at || r.End.Byte < at || r.End.Byte > len(text)) {
			t.Errorf("at byte %d of %q, %v is replaced", at, text, r)
		}
	})
}

func askAll(m *hcl.Draft, path string, at int) {
	p := editor.Position{Byte: at}
	m.Definition(path, p)
	m.References(path, p)
	m.Describe(path, p)
	m.Complete(path, p)
}
