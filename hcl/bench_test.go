package hcl_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/hcl"
	"eyrie/pipeline"
)

// BenchmarkLoad reads recipes of 10,000 steps: as many blocks with literal
// attributes, one block with for_each, and a chain of references.
func BenchmarkLoad(b *testing.B) {
	const n = 10000
	var blocks, chain strings.Builder
	for i := range n {
		fmt.Fprintf(&blocks, "stage \"calibrate\" \"s%d\" {\n  policy = \"resident\"\n  memory = \"352KiB\"\n  seed   = %d\n}\n", i, i)
		fmt.Fprintf(&chain, "stage \"table\" \"t%d\" {\n  any = %s\n}\n", i, map[bool]string{true: "1", false: fmt.Sprintf("stage.t%d.text", i-1)}[i == 0])
	}
	each := `stage "search" "s" {
  for_each = { for i in range(10000) : "i${i}" => i + 1 }
  platform = { name = "p", memory = 1024 }
  limit    = { latency = "87ms" }
  widths   = [0.3, 1.0]
  rounds   = each.value
}
`
	fan := each + `stage "table" "t" { 
  rows = [for k, s in stage.s : { name = k, latency = s.best.latency }] 
}
`
	pairs := each + `stage "table" "t" {
  for_each = stage.s
  one      = each.value.best.latency
  any      = stage.s[each.key].best.label
}
`
	for _, bench := range []struct{ name, text string }{
		{"blocks=10000", blocks.String()},
		{"for_each=10000", each},
		{"chain=10000", chain.String()},
		{"fan-in=10000", fan},
		{"pairs=10000", pairs},
	} {
		b.Run(bench.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "bench.hcl")
			if err := os.WriteFile(path, []byte(bench.text), 0o666); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				r, diags := hcl.Load(path, hcl.Options{Stages: testStages})
				if diags.HasErrors() || len(r.Steps) < n {
					b.Fatal(diags)
				}
			}
		})
	}
}

// BenchmarkEvaluate evaluates the attributes of 10,000 steps that refer to
// 10,000 others, one each, with all outputs there; and one step that refers to
// all of them.
func BenchmarkEvaluate(b *testing.B) {
	const upstream = `
stage "search" "s" {
  for_each = { for i in range(10000) : "i${i}" => i + 1 }
  platform = { name = "p", memory = 1024 }
  limit    = { latency = "87ms" }
  widths   = [0.3, 1.0]
}
`
	for _, bench := range []struct{ name, text string }{
		{"pairs=10000", upstream + `
stage "table" "t" {
  for_each = stage.s
  one      = each.value.best.latency
  title    = stage.s[each.key].best.label
}`},
		{"fan-in=10000", upstream + `
stage "table" "t" {
  rows = [for k, s in stage.s : { name = k, latency = s.best.latency }]
}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := load(b, bench.text, hcl.Options{})
			raw := json.RawMessage(done[`net["a"]`])
			known := new(pipeline.Outputs)
			for _, s := range r.Steps {
				known.Set(s.ID, raw)
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range r.Steps {
					if _, err := s.Attrs(known); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkEditor asks about the last of 10,000 blocks, each of which refers to the one
// before: what an editor asks with each key that is pressed, after the recipe is read.
func BenchmarkEditor(b *testing.B) {
	const n = 10000
	var chain strings.Builder
	chain.WriteString("stage \"table\" \"t0\" {\n}\n")
	for i := range n {
		fmt.Fprintf(&chain, "stage \"table\" \"t%d\" {\n  any = stage.t%d.text\n}\n", i+1, i)
	}
	text := chain.String() + "output \"o\" { value = stage.t10000.te"
	path := filepath.Join(b.TempDir(), "bench.hcl")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		b.Fatal(err)
	}
	m, at := hcl.Open(path, hcl.Options{Stages: testStages}), hcl.Position{Byte: len(text)}
	if len(m.Complete(path, at).Candidates) != 1 {
		b.Fatal("nothing is offered")
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Complete(path, at)
		m.Describe(path, at)
		m.Definition(path, at)
	}
}

// BenchmarkLoadModules reads a recipe of 1,000 modules of 3 steps each.
func BenchmarkLoadModules(b *testing.B) {
	path := files(b, map[string]string{
		"main.hcl": `
module "m" {
  source   = "./sub"
  for_each = { for i in range(1000) : "i${i}" => i }
  seed     = each.value
}
stage "table" "all" { rows = [for k, m in module.m : { name = k, latency = m.best.latency }] }
`,
		"sub/sub.hcl": `
variable "seed" { type = number }
stage "calibrate" "chip" {
  policy = "tiled"
  seed   = var.seed
}
stage "search" "net" {
  platform = stage.chip.platform
  limit    = { latency = "87ms" }
  widths   = [0.3, 1.0]
}
stage "table" "report" { one = stage.net.best.latency }
output "best" { value = stage.net.best }
`})
	b.ReportAllocs()
	for b.Loop() {
		r, diags := hcl.Load(path, hcl.Options{Stages: testStages})
		if diags.HasErrors() || len(r.Steps) != 3001 {
			b.Fatal(diags)
		}
	}
}
