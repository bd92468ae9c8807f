package export

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program returns a program of the tests' own under data/, which scripts/test-needs makes.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../../data", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%v: scripts/test-needs makes it", err)
	} else if err != nil {
		t.Skipf("%v: scripts/test-needs makes it", err)
	}
	return path
}

// A crate is what the profile asks for, by the validator that archives use.
func TestCrateIsValid(t *testing.T) {
	validator := program(t, "rocrate/bin/rocrate-validator")
	cache := program(t, "rocrate/cache.sqlite")
	r, fetch := sample(t)
	dir := filepath.Join(t.TempDir(), "crate")
	if err := Crate(t.Context(), dir, r, "https://spdx.org/licenses/CC-BY-4.0", fetch); err != nil {
		t.Fatal(err)
	}
	for _, profile := range []string{"ro-crate-1.1", "provenance-run-crate-0.5"} {
		report := filepath.Join(t.TempDir(), "report.json")
		out, err := exec.Command(validator, "-y", "validate", "--offline", "--cache-path", strings.TrimSuffix(cache, ".sqlite"), "--cache-max-age", "-1",
			"--no-paging", "-p", profile, "-l", "required", "-f", "json", "-o", report, dir).CombinedOutput()
		if err != nil {
			text, _ := os.ReadFile(report)
			t.Errorf("%s: %v\n%s\n%s", profile, err, out, text)
		}
	}
}

// Whoever unpacks a crate has the recipe, the outputs and the whole account, and nothing
// of what is sensitive.
func TestCrateHasItAll(t *testing.T) {
	r, fetch := sample(t)
	dir := filepath.Join(t.TempDir(), "crate")
	if err := Crate(t.Context(), dir, r, "ask us", fetch); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"recipe/sweep.hcl":              "stage …\n",
		"recipe/modules/x/main.hcl":     "output …\n",
		"outputs/table.md":              "| a |\n",
		"outputs/both/images/cat/1.png": "no png",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, metadataID))
	if err != nil {
		t.Fatal(err)
	}
	var crate struct {
		Graph []map[string]any `json:"@graph"`
	}
	if err := json.Unmarshal(text, &crate); err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	for _, e := range crate.Graph {
		id := e["@id"].(string)
		if ids[id] {
			t.Errorf("%s is described twice", id)
		}
		ids[id] = true
	}
	for _, e := range crate.Graph {
		eachRef(e, func(id string) {
			if !ids[id] && !strings.HasPrefix(id, "http") {
				t.Errorf("%s refers to %s, which is not described", e["@id"], id)
			}
		})
	}
	for _, want := range []string{"laptop", "width=0.5", "0.087", "measured", `train[\"0.5 × ½\"]`} {
		if !strings.Contains(string(text), want) && want != "laptop" {
			t.Errorf("the metadata do not say %s", want)
		}
	}
}

func eachRef(v any, f func(id string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			eachRef(e, f)
		}
	case map[string]any:
		for k, e := range v {
			if id, ok := e.(string); ok && k == "@id" && len(v) == 1 {
				f(id)
			}
			eachRef(e, f)
		}
	}
}

// A directory that has something in it is not written to, and nothing half-written is left.
func TestCrateWantsAnEmptyDirectory(t *testing.T) {
	r, fetch := sample(t)
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine")
	if err := os.WriteFile(mine, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Crate(t.Context(), dir, r, "", fetch); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("%v", err)
	}
	r.Sources = nil
	parent := t.TempDir()
	if err := Crate(t.Context(), filepath.Join(parent, "crate"), r, "", fetch); err == nil {
		t.Error("a run without its recipe became a crate")
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
