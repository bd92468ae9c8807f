// Package eyrie_test holds the house to its map: ARCHITECTURE.md.
package eyrie_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// vocabulary are the packages under stages/ that stages share.
var vocabulary = []string{"arch", "raptor", "search", "nn", "data", "onnx"}

// Imports point one way: a room may import what it is allowed and nothing else
// of ours. (.golangci.yml says the same to editors, with the reasons.)
func TestImportsPointOneWay(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		room := filepath.ToSlash(filepath.Dir(path))
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if reason := forbidden(room, imported); reason != "" {
				t.Errorf("%s imports %s: %s", path, imported, reason)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// forbidden says why a package in room must not import the other one, or "".
func forbidden(room, imported string) string {
	ours, isOurs := strings.CutPrefix(imported, "eyrie/")
	language := strings.HasPrefix(imported, "github.com/hashicorp/hcl") || strings.HasPrefix(imported, "github.com/zclconf/go-cty")
	switch {
	case in(room, "cmd/runner"), room == ".":
		return ""
	case language && !in(room, "hcl"):
		return "only the hcl room knows HCL"
	case !isOurs:
		return ""
	case isLeaf(ours):
		return ""
	case isLeaf(room):
		return "a leaf imports nothing of ours"
	case room == "artifacts":
		return "handles stand on nothing, so that a stage gets no store with them"
	case ours == "artifacts":
		return ""
	case in(room, "artifacts/blob"):
		return allow(ours, "a bucket knows nothing of what stands on it", "artifacts/blob")
	case room != "hcl" && in(room, "hcl") && ours == "hcl":
		return "a subject of the language knows no recipe"
	case in(ours, room), in(room, ours) && !in(room, "stages"):
		return ""
	case in(room, "artifacts"):
		return allow(ours, "the store knows nothing of what is computed", "artifacts")
	case in(room, "pipeline"):
		return allow(ours, "the core knows no stage and no language", "artifacts")
	case in(room, "hcl"):
		return allow(ours, "the language knows no stage and opens no store", "hcl", "pipeline")
	case room == "stages":
		return allow(ours, "the registry lists stages", "pipeline", "stages")
	case isVocabulary(room):
		if isVocabulary(ours) {
			return ""
		}
		return "vocabulary is plain Go, useful without a pipeline"
	case in(room, "stages"):
		if isVocabulary(ours) || in(ours, "pipeline") {
			return ""
		}
		return "a stage imports handles, vocabulary and the pipeline, never another stage or a store"
	}
	return ""
}

func in(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }

func allow(pkg, reason string, rooms ...string) string {
	for _, r := range rooms {
		if in(pkg, r) {
			return ""
		}
	}
	return reason
}

// isLeaf reports whether a package is one that everybody may import, as those of the
// standard library: what a mistake is, and floating point with the same bits everywhere.
func isLeaf(pkg string) bool { return pkg == "pipeline/mistake" || pkg == "pipeline/float" }

func isVocabulary(pkg string) bool {
	for _, v := range vocabulary {
		if in(pkg, "stages/"+v) {
			return true
		}
	}
	return false
}

// The rule itself: what it must refuse, and what it must not.
func TestForbidden(t *testing.T) {
	tests := []struct {
		room, imported string
		ok             bool
	}{
		{"artifacts", "eyrie/pipeline", false},
		{"artifacts", "eyrie/artifacts/store", false},
		{"artifacts/blob", "eyrie/artifacts", true},
		{"artifacts/blob", "eyrie/artifacts/store", false},
		{"artifacts/store", "eyrie/artifacts/blob", true},
		{"artifacts/store", "eyrie/pipeline", false},
		{"pipeline", "eyrie/artifacts/store", true},
		{"pipeline", "eyrie/stages/arch", false},
		{"pipeline", "github.com/hashicorp/hcl/v2", false},
		{"hcl", "github.com/zclconf/go-cty/cty", true},
		{"hcl", "eyrie/stages", false},
		{"hcl", "eyrie/artifacts", true},
		{"hcl", "eyrie/hcl/internal/value", true},
		{"hcl/internal/value", "eyrie/hcl", false},
		{"hcl/internal/value", "eyrie/hcl/source", true},
		{"hcl/internal/value", "eyrie/stages/arch", false},
		{"hcl", "eyrie/artifacts/store", false},
		{"stages", "eyrie/stages/grid", true},
		{"stages/grid", "eyrie/stages/evolve", false},
		{"stages/grid", "eyrie/stages/raptor", true},
		{"stages/grid", "eyrie/hcl", false},
		{"stages/grid", "eyrie/artifacts", true},
		{"stages/grid", "eyrie/artifacts/store", false},
		{"stages/raptor", "eyrie/stages/arch", true},
		{"stages/raptor", "eyrie/pipeline/float", true},
		{"hcl", "eyrie/pipeline/float", true},
		{"pipeline/float", "eyrie/stages/raptor", false},
		{"stages/raptor", "eyrie/pipeline", false},
		{"stages/raptor", "eyrie/stages/grid", false},
		{"stages/raptor", "eyrie/artifacts", true},
		{"stages/raptor", "eyrie/artifacts/store", false},
		{"cmd/runner", "eyrie/hcl", true},
	}
	for _, test := range tests {
		if got := forbidden(test.room, test.imported); (got == "") != test.ok {
			t.Errorf("%s imports %s: got %q", test.room, test.imported, got)
		}
	}
}
