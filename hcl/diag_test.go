package hcl_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/hcl"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each recipe in testdata is full of mistakes. All are reported in one go, with
// the text at fault and what to write instead, as the .diag file beside it says.
func TestDiagnostics(t *testing.T) {
	recipes, err := filepath.Glob("testdata/*.hcl")
	if err != nil || len(recipes) == 0 {
		t.Fatal("no recipes", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range recipes {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r, diags := hcl.Load(path, hcl.Options{Stages: testStages})
			if r != nil || !diags.HasErrors() {
				t.Error("no mistakes were found")
			}
			var b strings.Builder
			if err := diags.Write(&b, 0, false); err != nil { // not wrapped: where lines end would depend on where the clone lies
				t.Fatal(err)
			}
			got := strings.ReplaceAll(b.String(), dir, "$DIR")
			golden := strings.TrimSuffix(path, ".hcl") + ".diag"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the diagnostics differ from %s (go test -update writes it anew):\n%s", golden, got)
			}
		})
	}
}
