package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// BenchmarkCached measures runner plan and runner run, as processes, on recipes
// that are cached as a whole: what it costs to find out that nothing has to be
// done. Beside the time, which depends on how many processors there are, it
// reports the processors' time and the most memory that a process took. The stage
// is table, whose results have files, as most have.
//
//	go test -run '^$' -bench Cached -benchtime 3x -count 6 ./cmd/runner
func BenchmarkCached(b *testing.B) {
	for _, bench := range []struct{ name, text string }{
		{"literal/steps=1000", blocks(1000, func(int) string { return `""` })},
		{"literal/steps=10000", blocks(10_000, func(int) string { return `""` })},
		{"for_each/steps=10000", instances("s", numbered(10_000), "each.key", "[{ a = each.value }]")},
		{"chain/steps=10000", blocks(10_000, func(i int) string {
			if i == 0 {
				return `""`
			}
			return fmt.Sprintf("substr(stage.s%d.text, 0, 20)", i-1)
		})},
		{"layers/steps=1000", layers(10)},
		{"derived/steps=2000", derived(1000)},
		{"derived/steps=4000", derived(2000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "recipe.hcl")
			if err := os.WriteFile(path, []byte(bench.text), 0o666); err != nil {
				b.Fatal(err)
			}
			usage(b, "run", path)
			for _, command := range []string{"plan", "run"} {
				b.Run(command, func(b *testing.B) { measure(b, command, path) })
			}
		})
	}
}

// measure reports what a command takes of the machine.
func measure(b *testing.B, command, path string) {
	var seconds, peak float64
	for b.Loop() {
		u := usage(b, command, path)
		seconds += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
		peak = max(peak, float64(u.Maxrss)/1024)
	}
	b.ReportMetric(seconds/float64(b.N), "cpu-s/op")
	b.ReportMetric(peak, "peak-MiB")
}

// usage runs a command on the recipe at path and returns what it took.
func usage(b *testing.B, command, path string) *syscall.Rusage {
	cmd := exec.Command("eyrie", command, path)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

// BenchmarkStart times the start of the process.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("runner", "version").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// blocks is a recipe of n stage blocks, each with a number of its own, and a
// title, which may refer to others.
func blocks(n int, title func(i int) string) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "stage \"table\" \"s%d\" {\n  title   = %s\n  columns = [{ key = \"a\" }]\n  rows    = [{ a = %d }]\n}\n\n", i, title(i), i)
	}
	return text.String()
}

// instances is one stage block with for_each.
func instances(name, forEach, title, rows string) string {
	return fmt.Sprintf("stage \"table\" %q {\n  for_each = %s\n  title    = %s\n  columns  = [{ key = \"a\" }]\n  rows     = %s\n}\n\n", name, forEach, title, rows)
}

// numbered is a for_each of n numbers.
func numbered(n int) string { return fmt.Sprintf("{ for i in range(%d) : \"i${i}\" => i }", n) }

// layers is a recipe of n layers of 100 steps, each of which reads all of the
// layer before.
func layers(n int) string {
	text := instances("l0", numbered(100), "each.key", "[{ a = each.value }]")
	for i := 1; i < n; i++ {
		text += instances(fmt.Sprintf("l%d", i), numbered(100), "each.key", fmt.Sprintf("[for k, s in stage.l%d : { a = length(s.text) }]", i-1))
	}
	return text
}

// derived is a recipe of n steps, and of n for what these yield.
func derived(n int) string {
	return instances("a", numbered(n), "each.key", "[{ a = each.value }]") +
		instances("b", "{ for k, s in stage.a : k => s.text }", "substr(each.value, 0, 20)", "[]")
}
