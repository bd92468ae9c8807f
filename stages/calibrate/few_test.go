package calibrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// TestFewMeasurements: of a board that one form describes, a handful of measurements
// suffices for a form that meets them to be taken, not one that has fewer parameters.
func TestFewMeasurements(t *testing.T) {
	truth := preset(t, "ethos-u55-128")
	for _, names := range [][]string{
		{"mobilenet", "conv"},
		{"mobilenet", "linear", "conv", "depthwise"},
		{"mobilenet", "linear", "conv", "depthwise", "pointwise", "few channels"},
	} {
		text := "network,width,resolution,latency\n"
		for _, name := range names {
			cells := name + ",,"
			var net arch.Network
			if name == "mobilenet" {
				cells = "MobileNetV2,0.5,128"
				base := arch.MobileNetV2()
				net = base.Scale(base.Uniform(0.5), 128, arch.Rounding{})
			} else {
				var err error
				spec := probes[name]
				if net, err = spec.Network(); err != nil {
					t.Fatal(err)
				}
			}
			e, err := truth.Estimate(net)
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprintf("%s,%v\n", cells, e.Latency)
		}
		file := filepath.Join(t.TempDir(), "board.csv")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c := config(t, file)
		c.Platform = raptor.Platform{Name: "board", Clock: truth.Clock, PEs: truth.PEs, Memory: truth.Memory}
		out, err := run(t.Context(), new(pipeline.Task), c)
		if err != nil {
			t.Fatal(err)
		}
		if out.RMS > 0.1 {
			t.Errorf("%v: %s is taken, which is off by %.0f %%; the forms: %v", names, out.Form, 100*out.RMS, out.Summary[1])
		}
	}
}

// TestMilliseconds: latencies that are a thousand times too long are met all the same, by a
// parameter that no chip has, and the summary asks about them.
func TestMilliseconds(t *testing.T) {
	for factor, asks := range map[float64]bool{1: false, 1000: true} {
		text := "width,resolution,latency\n"
		for _, row := range []struct{ width, latency float64 }{{0.35, 0.0081}, {0.5, 0.012}} {
			text += fmt.Sprintf("%v,96,%v\n", row.width, factor*row.latency)
		}
		file := filepath.Join(t.TempDir(), "board.csv")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c := config(t, file)
		c.Platform = raptor.Platform{Name: "board", Clock: 320e6, PEs: 32, Memory: 128 << 10}
		out, err := run(t.Context(), new(pipeline.Task), c)
		if err != nil {
			t.Fatal(err)
		}
		if words := strings.Join(out.Summary, " "); strings.Contains(words, "Are latencies in seconds") != asks {
			t.Errorf("latencies times %v: %s", factor, words)
		}
	}
}
