package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkNoop times runner run, as a process, on a recipe of literal stage
// blocks, in chains of ten, that are all cached.
func BenchmarkNoop(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("steps=%d", n), func(b *testing.B) {
			path := chains(b, n)
			run := func() {
				if out, err := exec.Command("runner", "run", path).CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
			}
			run()
			for b.Loop() {
				run()
			}
		})
	}
}

// BenchmarkStart times the start of the process.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("runner", "version").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// chains writes a recipe of n steps and returns its path.
func chains(b *testing.B, n int) string {
	var text strings.Builder
	for i := range n {
		values := fmt.Sprint(i % 1000)
		if i%10 > 0 {
			values += fmt.Sprintf(", stage.s%d.total / 1000", i-1)
		}
		fmt.Fprintf(&text, "stage \"sum\" \"s%d\" {\n  values = [%s]\n}\n\n", i, values)
	}
	path := filepath.Join(b.TempDir(), "chains.hcl")
	if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
		b.Fatal(err)
	}
	return path
}
