package calibrate

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/float"
)

// BenchmarkCalibrate fits all forms to the latencies of 300 networks, with noise of 3 %: the
// memory as the datasheet says, or to be found. On one core each takes below 20 s.
func BenchmarkCalibrate(b *testing.B) {
	var text strings.Builder
	text.WriteString("width,resolution,latency\n")
	truth := preset(b, "tinyraptor")
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 30 {
		for resolution := 64; resolution < 224; resolution += 16 {
			width := 0.25 + 0.035*float64(i)
			net := arch.MobileNetV2()
			e, err := truth.Estimate(net.Scale(net.Uniform(width), resolution, arch.Rounding{}))
			if err != nil {
				b.Fatal(err)
			}
			fmt.Fprintf(&text, "%v,%d,%v\n", width, resolution, e.Latency*float.Exp(0.03*rng.NormFloat64()))
		}
	}
	file := filepath.Join(b.TempDir(), "board.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	for name, memory := range map[string]int64{"memory given": truth.Memory, "memory to be found": 0} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c := config(b, file)
				c.Platform = raptor.Platform{Name: "board", Clock: truth.Clock, PEs: truth.PEs, Memory: memory}
				if _, err := run(b.Context(), new(pipeline.Task), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
