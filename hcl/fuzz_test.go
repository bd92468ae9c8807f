package hcl_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"eyrie/hcl"
)

// FuzzLoad holds that no text makes the reader panic or an evaluation disagree
// with what was checked: it becomes a recipe whose steps can be evaluated, or
// mistakes that can be shown; and that formatting is stable and keeps both.
func FuzzLoad(f *testing.F) {
	recipes, err := filepath.Glob("testdata/*.hcl")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range recipes {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(around + "}\noutput \"o\" {\n  value = [for k, s in stage.net : s.best if true]\n}\n"))
	f.Add([]byte(`stage "table" "t" { any = { (1) = [for x in "a" : x...], b = "%{ if true }x${~ 1 ~}%{ endif }" } }`))
	f.Add([]byte(`stage "table" "t" { any = try(stage.u[*].text, 1 == 1 ? -1 % 3 : !true)[0].x.*.y }`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 || heavy(text) {
			return
		}
		path := filepath.Join(t.TempDir(), "fuzz.hcl")
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		r, diags := hcl.Load(path, hcl.Options{Stages: testStages})
		if (r == nil) != diags.HasErrors() {
			t.Fatalf("recipe %v with %v", r, diags)
		}
		var shown bytes.Buffer
		if err := diags.Write(&shown, 80, true); err != nil {
			t.Fatal(err)
		}
		for _, d := range diags.All() {
			if strings.Contains(d.Summary, "cannot be evaluated") {
				t.Log(d.Detail) // a panic of the libraries, caught and shown
			}
		}
		if r != nil {
			for _, s := range r.Steps {
				if _, err := s.Attrs(outputs{}.known()); err != nil {
					t.Fatalf("%s was checked, but: %v", s.ID, err)
				}
			}
		}
		once, diags := hcl.Format(text, path)
		if diags.HasErrors() {
			if !bytes.Equal(once, text) {
				t.Fatal("text with mistakes was changed")
			}
			return
		}
		twice, diags := hcl.Format(once, path)
		if diags.HasErrors() || !bytes.Equal(once, twice) {
			t.Fatalf("formatting is not stable: %v\n%q\n%q", diags, once, twice)
		}
	})
}

// heavy reports whether a text may ask for more numbers, or longer ones, than a
// fuzzer has time for; that is no mistake.
func heavy(text []byte) bool { return heavyText.Match(text) }

var heavyText = regexp.MustCompile(`range|pow|%[0-9]|setproduct|indent|[eE][+-]?[0-9]{4}`)
