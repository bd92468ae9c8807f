// Package eyrie_test holds the house to its map: ARCHITECTURE.md.
package eyrie_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rule says what packages at some paths may import of ours.
type rule struct {
	packages string // patterns, by spaces
	may      string // patterns, by spaces
	reason   string // why nothing else
}

// A pattern is a path, whose elements may be *; one that ends in /... holds for the
// packages below, too. "own" are the importing package and those below it.
const own = "own"

// rules are the map's arrows, here and nowhere else. The first that holds for a package is
// its own, and each package needs one, so that a new one is not forgotten.
var rules = []rule{
	{".", "...", ""},
	{"cmd/...", "...", ""},

	{"pipeline/mistake", "", "a leaf imports nothing of ours, so that everybody may import it"},
	{"pipeline/float", "", "a leaf imports nothing of ours, so that everybody may import it"},
	{"artifacts", "", "handles stand on nothing, so that a stage gets no store with them"},
	{"artifacts/blob/...", "artifacts artifacts/blob/...", "a bucket knows nothing of what stands on it"},
	{"artifacts/...", "artifacts/...", "the store knows nothing of what is computed"},
	{"pipeline/...", "pipeline/... artifacts/...", "the core knows no stage and no language: it is handed stages and a recipe"},
	{"hcl/source hcl/diagnostic hcl/internal/syntax hcl/internal/grammar hcl/internal/word",
		"hcl/source hcl/diagnostic hcl/internal/syntax hcl/internal/grammar hcl/internal/word pipeline", "text, files and messages come before values"},
	{"hcl/internal/...", "hcl/internal/... hcl/source hcl/diagnostic pipeline/... artifacts", "a subject of the language knows neither recipes nor editors"},
	{"hcl/*/...", "hcl/*/... pipeline/... artifacts", "a subject of the language knows no recipe"},
	{"hcl", "hcl/... pipeline/... artifacts", "the language knows no stage and opens no store"},
	{"nas/...", "nas/... artifacts pipeline/process", "vocabulary is plain Go, useful without a pipeline, stages and recipes"},
	{"stages", "stages/* pipeline", "the registry lists stages"},
	{"stages/*/...", "own nas/... pipeline/... artifacts", "a stage takes handles, vocabulary and the pipeline, never another stage, a language or a store"},
}

// leaves are what every package may import that may import anything: what a mistake is, and
// floating point with the same bits everywhere.
var leaves = []string{"pipeline/mistake", "pipeline/float"}

// rooms are the modules that belong to one room only.
var rooms = []struct{ module, packages, reason string }{
	{"github.com/hashicorp/hcl", "hcl/...", "only the hcl room knows HCL"},
	{"github.com/zclconf/go-cty", "hcl/...", "only the hcl room knows cty"},
	{"github.com/google/flatbuffers", "nas/tflite", "only its own room knows the bytes of TensorFlow Lite's format"},
	{"github.com/minio/minio-go", "artifacts/s3/...", "only its own room knows S3's client"},
	{"k8s.io", "pipeline/cluster/kubernetes", "only its own room knows Kubernetes' client"},
	{"github.com/spf13", "cmd/...", "only the command has a command line"},
}

// forbidden says why a package must not import another one, or "".
func forbidden(pkg, imported string) string {
	for _, r := range rooms {
		if within(imported, r.module) && !holds(r.packages, pkg) {
			return r.reason
		}
	}
	ours, isOurs := strings.CutPrefix(imported, "eyrie/")
	if !isOurs {
		return ""
	}
	i := slices.IndexFunc(rules, func(r rule) bool { return holds(r.packages, pkg) })
	if i < 0 {
		return "no rule says what this package may import: give its path one"
	}
	r := rules[i]
	may := strings.Fields(r.may)
	if len(may) > 0 {
		may = append(may, leaves...)
	}
	for _, pattern := range may {
		if pattern == own && within(ours, pkg) || holds(pattern, ours) {
			return ""
		}
	}
	return r.reason
}

// holds reports whether one of some patterns holds for a package.
func holds(patterns, pkg string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool { return matches(p, pkg) })
}

func matches(pattern, pkg string) bool {
	base, below := strings.CutSuffix(pattern, "...")
	base = strings.TrimSuffix(base, "/")
	if below && base == "" {
		return true
	}
	if elements := strings.Split(pkg, "/"); below {
		pkg = path.Join(elements[:min(len(elements), 1+strings.Count(base, "/"))]...)
	}
	ok, err := path.Match(base, pkg)
	if err != nil {
		panic(err)
	}
	return ok
}

// within reports whether a path is that of a folder or below it.
func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// Imports point one way: a package imports what its rule allows and nothing else of ours.
// Tests may import what they like.
func TestImportsPointOneWay(t *testing.T) {
	for file, imports := range sources(t, ".") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, imported := range imports {
			if reason := forbidden(path.Dir(file), imported); reason != "" {
				t.Errorf("%s imports %s: %s", file, imported, reason)
			}
		}
	}
}

// Every package directly in stages is a stage that recipes can use.
func TestEveryStageIsListed(t *testing.T) {
	stages := map[string]bool{}
	for file := range sources(t, "stages") {
		if dir := path.Dir(file); path.Dir(dir) == "stages" {
			stages["eyrie/"+dir] = true
		}
	}
	for _, imported := range sources(t, "stages")["stages/stages.go"] {
		delete(stages, imported)
	}
	for stage := range stages {
		t.Errorf("stages.All lacks %s: add it, or move the package into nas, where stages' vocabulary is", stage)
	}
}

// sources returns what the Go files below a directory import.
func sources(t *testing.T, dir string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		imports := make([]string, len(file.Imports))
		for i, spec := range file.Imports {
			imports[i], _ = strconv.Unquote(spec.Path.Value)
		}
		all[filepath.ToSlash(path)] = imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The rules themselves: what they must refuse, and what they must not.
func TestForbidden(t *testing.T) {
	tests := map[string]struct{ may, mayNot string }{
		".":                  {"eyrie/stages eyrie/hcl", "github.com/zclconf/go-cty/cty"},
		"artifacts":          {"io", "eyrie/pipeline eyrie/artifacts/store"},
		"artifacts/blob":     {"eyrie/artifacts", "eyrie/artifacts/store"},
		"artifacts/store":    {"eyrie/artifacts/blob eyrie/artifacts eyrie/pipeline/float", "eyrie/pipeline eyrie/nas/arch"},
		"pipeline":           {"eyrie/artifacts/store eyrie/pipeline/mistake", "eyrie/nas/arch eyrie/stages eyrie/hcl github.com/hashicorp/hcl/v2"},
		"pipeline/float":     {"math", "eyrie/nas/raptor eyrie/pipeline/mistake eyrie/artifacts"},
		"hcl":                {"github.com/zclconf/go-cty/cty eyrie/artifacts eyrie/pipeline/float eyrie/hcl/editor", "eyrie/stages eyrie/nas/arch eyrie/artifacts/store"},
		"hcl/internal/value": {"github.com/zclconf/go-cty/cty eyrie/hcl/source eyrie/pipeline", "eyrie/hcl eyrie/hcl/editor eyrie/nas/arch eyrie/stages/grid"},
		"hcl/internal/word":  {"strings", "eyrie/hcl/internal/value eyrie/artifacts"},
		"hcl/editor":         {"eyrie/hcl/internal/builtin", "eyrie/hcl eyrie/artifacts/store"},
		"hcl/new":            {"eyrie/hcl/internal/value", "eyrie/hcl"},
		"stages":             {"eyrie/stages/grid", "eyrie/nas/arch"},
		"stages/grid":        {"eyrie/nas/raptor eyrie/artifacts eyrie/pipeline eyrie/stages/grid/walk", "eyrie/stages eyrie/stages/evolve eyrie/hcl eyrie/artifacts/store github.com/spf13/cobra"},
		"stages/grid/walk":   {"eyrie/nas/raptor", "eyrie/stages/evolve"},
		"nas/raptor":         {"eyrie/nas/arch eyrie/pipeline/float eyrie/artifacts", "eyrie/pipeline eyrie/pipeline/pipelinetest eyrie/stages/grid eyrie/artifacts/store eyrie/hcl"},
		"nas/tflite":         {"github.com/google/flatbuffers/go", "eyrie/pipeline"},
		"nas/arch":           {"eyrie/nas/tflite eyrie/nas/onnx", "github.com/google/flatbuffers/go eyrie/stages/grid"},
		"nas/new/vocabulary": {"eyrie/nas/arch", "eyrie/pipeline"},
		"new":                {"io", "eyrie/artifacts"},
		"cmd/runner":         {"eyrie/hcl github.com/spf13/cobra", "github.com/hashicorp/hcl/v2"},
	}
	for _, pkg := range slices.Sorted(maps.Keys(tests)) {
		for _, imported := range strings.Fields(tests[pkg].may) {
			if reason := forbidden(pkg, imported); reason != "" {
				t.Errorf("%s must not import %s: %s", pkg, imported, reason)
			}
		}
		for _, imported := range strings.Fields(tests[pkg].mayNot) {
			if forbidden(pkg, imported) == "" {
				t.Errorf("%s may import %s", pkg, imported)
			}
		}
	}
}
