package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"testing"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
)

func num(v float64, kind pipeline.Provenance) pipeline.Traced {
	return pipeline.Traced{Value: v, Origins: []pipeline.Origin{{Kind: kind, Step: "step", Output: "value"}}}
}

func txt(s string) pipeline.Traced { return pipeline.Traced{Value: s} }

func pair(low, high float64) pipeline.Traced { return pipeline.Traced{Value: []any{low, high}} }

// figure1 is the paper's: memory per block, and the limit.
func figure1() Config {
	var rows []pipeline.Row
	for i := range 17 {
		rows = append(rows, pipeline.Row{
			"block":       txt(fmt.Sprintf("bottleneck %d", i+1)),
			"activations": num(1200e3/float64(i+1), pipeline.Modelled),
			"weights":     num(2e3*float64(i*i+1), pipeline.Modelled),
		})
	}
	return Config{
		Title:  "Figure 1. Memory per block of MobileNetV2, W_d = 1, R = 224, int8",
		Y:      Axis{Title: "memory", Unit: "KiB", Scale: 1.0 / 1024},
		X:      Axis{Title: "block"},
		Width:  120,
		Height: 80,
		Series: []Series{
			{Name: "activations", Mark: "bars", Rows: rows, X: "block", Y: "activations"},
			{Name: "weights", Mark: "bars", Rows: rows, X: "block", Y: "weights"},
		},
		Lines: []Line{{Name: "NPU memory", At: pipeline.Traced{Value: 360448.0, Origins: []pipeline.Origin{{Kind: pipeline.Given}}}}},
	}
}

// figure2 is the paper's: accuracy against latency, with intervals and kinds
// that differ, and a front.
func figure2() Config {
	var found, wide []pipeline.Row
	for i := range 7 {
		lat := 0.030 + 0.009*float64(i)
		found = append(found, pipeline.Row{
			"latency": num(lat, pipeline.Modelled), "interval": pair(lat*0.95, lat*1.05),
			"top1": num(0.85+0.012*float64(i)-0.0009*float64(i*i), pipeline.Measured), "name": txt(fmt.Sprintf("net %d", i)),
		})
	}
	found = append(found, pipeline.Row{"latency": num(0.06, pipeline.Modelled), "interval": {}, "top1": num(0.84, pipeline.Measured)})
	for i, r := range []float64{128, 160, 192} {
		wide = append(wide, pipeline.Row{
			"latency": num(0.045+0.02*float64(i), pipeline.Modelled),
			"top1":    num(0.83+0.015*float64(i), pipeline.Predicted), "name": txt(fmt.Sprintf("R=%v", r)),
		})
	}
	return Config{
		Title:  "Figure 2. Accuracy against latency",
		X:      Axis{Title: "latency", Unit: "ms", Scale: 1000},
		Y:      Axis{Title: "top-1", Unit: "%", Scale: 100},
		Width:  120,
		Height: 80,
		Series: []Series{
			{Name: "RaptorNet", Mark: "front", Rows: found, X: "latency", Y: "top1", XInterval: "interval", Label: "name"},
			{Name: "MobileNetV2 0.5", Rows: wide, X: "latency", Y: "top1", Label: "name"},
		},
		Lines: []Line{{Name: "limit", Axis: "x", At: pipeline.Traced{Value: 0.07}}},
	}
}

// curves is a training curve with a band, on a logarithmic axis.
func curves() Config {
	var rows []pipeline.Row
	for i := range 40 {
		v := 2.3 / (1 + 0.3*float64(i))
		rows = append(rows, pipeline.Row{"step": {Value: float64(i * 250)}, "loss": num(v, pipeline.Measured), "band": pair(v*0.9, v*1.15), "other": num(v*1.4, pipeline.Measured)})
	}
	return Config{
		X: Axis{Title: "step"}, Y: Axis{Title: "loss", Log: true}, Width: 120, Height: 80,
		Series: []Series{
			{Name: "largest subnet", Mark: "line", Rows: rows, X: "step", Y: "loss", YInterval: "band"},
			{Name: "smallest subnet", Mark: "line", Rows: rows, X: "step", Y: "other"},
		},
	}
}

var figures = map[string]func() Config{"figure1": figure1, "figure2": figure2, "curves": curves}

// A version draws what it drew. After a change look at the SVGs beside the
// golden results. The PNGs are left out: they show the same drawing, but where
// the compiler fuses multiply-adds gonum's places are others in the last digit,
// which the SVG's five do not show and a pixel at an edge does.
func TestGolden(t *testing.T) {
	results := map[string]any{}
	for name, config := range figures {
		out, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), config())
		if err != nil {
			t.Fatal(err)
		}
		out.PNG = artifacts.File{}
		results[name] = out
	}
	pipelinetest.Golden(t, Stage, results)
}

// SVG is XML, PNG is a picture of the size asked for, and both are the same
// each time.
func TestFormats(t *testing.T) {
	for name, config := range figures {
		f, err := newFigure(config())
		if err != nil {
			t.Fatal(err)
		}
		svg, err := f.svg()
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		img, err := f.png()
		if err != nil {
			t.Fatal(err)
		}
		p, err := png.Decode(bytes.NewReader(img))
		if want := int(config().Width / 25.4 * 192); err != nil || p.Bounds().Dx() < want-2 || p.Bounds().Dx() > want+2 {
			t.Errorf("%s: %v, %v", name, p.Bounds(), err)
		}
		again, err := newFigure(config())
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := again.svg(); !bytes.Equal(b, svg) {
			t.Errorf("%s: another SVG the second time", name)
		}
		if b, _ := again.png(); !bytes.Equal(b, img) {
			t.Errorf("%s: another PNG the second time", name)
		}
	}
}
