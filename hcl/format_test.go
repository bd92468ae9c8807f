package hcl_test

import (
	"strings"
	"testing"

	"eyrie/hcl"
)

// Formatting indents and aligns, and touches nothing that cannot be parsed.
func TestFormat(t *testing.T) {
	const ugly = "stage \"table\"   \"t\" {\n# a comment\ntitle=\"x\"\n      any   = { a=1,b =[1,2] }\nresources {\ncpus=1\n}\n}\n"
	const neat = "stage \"table\" \"t\" {\n  # a comment\n  title = \"x\"\n  any   = { a = 1, b = [1, 2] }\n  resources {\n    cpus = 1\n  }\n}\n"
	got, diags := hcl.Format([]byte(ugly), "ugly.hcl")
	if diags.HasErrors() || string(got) != neat {
		t.Errorf("%v\n%s", diags, got)
	}
	got, diags = hcl.Format([]byte(neat), "neat.hcl")
	if diags.HasErrors() || string(got) != neat {
		t.Errorf("formatted twice: %v\n%s", diags, got)
	}
	if got, _ := hcl.Format([]byte("a=1"), "open.hcl"); string(got) != "a = 1\n" {
		t.Errorf("a last line without its end: %q", got)
	}
	const wrong = "stage {\n  a = \n}"
	got, diags = hcl.Format([]byte(wrong), "wrong.hcl")
	if !diags.HasErrors() || string(got) != wrong {
		t.Errorf("text with a mistake: %v\n%s", diags, got)
	}
	if want := "wrong.hcl:2: "; !strings.HasPrefix(diags.Error(), want) {
		t.Errorf("%s\nwant %s…", diags.Error(), want)
	}
}

// Text that is nested beyond reason is refused before the parser, which
// recurses, sees it; brackets in strings and comments do not count.
func TestDeepNesting(t *testing.T) {
	for name, text := range map[string]string{
		"parentheses": "locals {\n x = " + strings.Repeat("(", 2e4) + "\n}",
		"lists":       "locals {\n x = " + strings.Repeat("[", 2e4) + strings.Repeat("]", 2e4) + "\n}",
		"objects":     "locals {\n x = " + strings.Repeat("{ a = ", 2e4) + "\n}",
		"blocks":      strings.Repeat("a {\n", 2e4) + strings.Repeat("}\n", 2e4),
		"not":         "locals {\n x = " + strings.Repeat("!", 2e4) + "true\n}",
		"minus":       "locals {\n x = " + strings.Repeat("-", 2e4) + "1\n}",
		"templates":   "locals {\n x = " + strings.Repeat(`"${`, 2e4) + "\n}",
		"choices":     "locals {\n x = " + strings.Repeat("true ? 1 : ", 2e4) + "1\n}",
	} {
		r, diags := loadText(t, text, hcl.Options{})
		if r != nil || !strings.Contains(diags.Error(), "Nested too deeply") {
			t.Errorf("%s: %.200s", name, diags.Error())
		}
		if _, diags := hcl.Format([]byte(text), "x.hcl"); !diags.HasErrors() {
			t.Errorf("%s: formatted", name)
		}
	}
	load(t, "# "+strings.Repeat("(", 2e4)+"\nlocals {\n x = \""+strings.Repeat("[", 2e4)+"\"\n}\n", hcl.Options{})
	load(t, "locals {\n x = ["+strings.Repeat("-1, !true ? 1 : 2, ", 1e4)+"]\n}\n", hcl.Options{})
	load(t, "locals {\n"+strings.Repeat("x-", 3000)+"x = [-1, -2, -3]\n}\n", hcl.Options{})
}
