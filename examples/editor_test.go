package examples_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/hcl"
	"eyrie/hcl/editor"
	"eyrie/hcl/source"
	"eyrie/stages"
)

// Wherever an editor asks in a shipped recipe there is an answer, and what a reference
// leads to leads back to the reference.
func TestEditorAsksEverywhere(t *testing.T) {
	recipes, err := filepath.Glob("*.hcl")
	if err != nil || len(recipes) == 0 {
		t.Fatal(recipes, err)
	}
	for _, path := range recipes {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			askEverywhere(t, path)
		})
	}
}

func askEverywhere(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := hcl.Open(path, hcl.Options{Stages: stages.All})
	leads, described := 0, 0
	for i := range len(text) + 1 {
		at := editor.Position{Byte: i}
		m.Complete(path, at)
		if _, ok := m.Describe(path, at); ok {
			described++
		}
		s, ok := m.Definition(path, at)
		refs := m.References(path, at)
		if !ok {
			if len(refs) > 0 {
				t.Errorf("%s, byte %d: what is declared nowhere is referred to at %v", path, i, refs)
			}
			continue
		}
		leads++
		within := func(r editor.Range) bool { return r.Start.Byte-len("stage.") <= i }
		if inside(s.At, i) {
			continue
		}
		if !slices.ContainsFunc(refs, within) {
			t.Errorf("%s, byte %d: the reference to %s is not among %v", path, i, s.Name, refs)
		}
	}
	for _, s := range m.Symbols() {
		if back, ok := m.Definition(path, s.At.Start); !ok || back != s {
			t.Errorf("%s: the name of %s leads to %+v", path, s.Name, back)
		}
		for _, r := range m.References(path, s.At.Start) {
			if got := string(text[r.Start.Byte:r.End.Byte]); got != s.Name {
				t.Errorf("%s line %d: %q is taken for a reference to %s", path, r.Start.Line, got, s.Name)
			}
			if back, ok := m.Definition(path, r.Start); !ok || back != s {
				t.Errorf("%s line %d: the reference to %s leads to %+v", path, r.Start.Line, s.Name, back)
			}
		}
	}
	if leads < 100 || described < 500 {
		t.Errorf("%s: %d places lead somewhere, %d are described", path, leads, described)
	}
}

func inside(r editor.Range, at int) bool { return r.Start.Byte <= at && at <= r.End.Byte }

// An attribute of a shipped stage is described by its schema and its value.
func TestAttributeIsDescribed(t *testing.T) {
	m := hcl.Open("quickstart.hcl", hcl.Options{Stages: stages.All})
	text, err := os.ReadFile("quickstart.hcl")
	if err != nil {
		t.Fatal(err)
	}
	d, ok := m.Describe("quickstart.hcl", editor.Position{Byte: strings.Index(string(text), "epochs = var.epochs")})
	if !ok || d.Type != "number" || d.Doc == "" || d.Value != "5" {
		t.Errorf("epochs: %+v", d)
	}
}

// What a step declares is offered as outputs are that a stage has, and within the
// declaration so are its own blocks, attributes and types.
func TestEditorKnowsDeclaredOutputs(t *testing.T) {
	text, err := os.ReadFile("script.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ before, typed, want string }{
		{"value = stage.compare.", "", "elapsed lines slowest speedup"},
		{"  declare {\n", "    ", "output"},
		{"    output \"lines\" {\n", "      ", "json at unit provenance doc"},
		{"      type = ", "", "number string bool list map object any file dir"},
		{"value = stage.compare.slowest.", "", "saved width"},
	} {
		i := strings.Index(string(text), test.before)
		if i < 0 {
			t.Fatalf("script.hcl has no %q", test.before)
		}
		i += len(test.before)
		typed := string(text[:i]) + test.typed + "\n" + string(text[i:])
		m := hcl.Open("script.hcl", hcl.Options{Stages: stages.All, Files: source.Overlay(source.Disk, map[string][]byte{"script.hcl": []byte(typed)})})
		var labels []string
		for _, c := range m.Complete("script.hcl", editor.Position{Byte: i + len(test.typed)}).Candidates {
			labels = append(labels, c.Label)
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("behind %q: %s, want %s", test.before, got, test.want)
		}
	}
	m := hcl.Open("script.hcl", hcl.Options{Stages: stages.All})
	for _, s := range m.Symbols() {
		if s.Kind == editor.Output && s.Name != "before" && s.Name != "after" {
			t.Errorf("%s is taken for an output of the recipe", s.Name)
		}
	}
}
