package calibrate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat/distuv"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
	"eyrie/pipeline/sheet"
)

// config returns the stage's defaults around tinyraptor and the file.
func config(t testing.TB, file string) Config {
	t.Helper()
	p, err := raptor.Preset("tinyraptor")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Platform: p, Measurements: artifacts.Local(file), Fit: names(), Policies: allPolicies(),
		MemoryMin: 32 << 10, MemoryMax: 1 << 20, MemoryStep: 8 << 10, Starts: 4, Seed: 1}
	if err := Stage.CheckConfig(c); err != nil {
		t.Fatal(err)
	}
	return c
}

const paperCSV = "../../examples/raptor.csv"

// The paper's measurements are met: table 1's MACs within 3.5 % rms and 5 %
// each, its μ within 6 %, within 10 % by fits that have not seen the network,
// table 3's latencies within 6 %. Both limits are identified, and the preset is
// the result.
func TestPaper(t *testing.T) {
	c := config(t, paperCSV)
	c.Platform.ActivationCost, c.Platform.WeightCost, c.Platform.Memory = 1, 1, 1<<19 // another start
	c.Compare = map[string]arch.Spec{"0.5": {Width: 0.5, Resolution: 160}, "0.35": {Width: 0.35, Resolution: 192}}
	out, err := run(context.Background(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range out.Summary {
		t.Log(s)
	}
	table1, table3 := out.Sets["table 1"], out.Sets["table 3"]
	for name, check := range map[string]struct{ got, most float64 }{
		"MACs rms":       {*table1.MACsRMS, 0.035},
		"MACs worst":     {*table1.MACsWorst, 0.05},
		"μ rms":          {*table1.MuRMS, 0.06},
		"μ left out":     {*table1.MuLOO, 0.10},
		"latency, worst": {*table3.LatencyWorst, 0.06},
	} {
		if check.got > check.most {
			t.Errorf("%s: %.4f, want at most %.3f", name, check.got, check.most)
		}
	}
	for _, p := range out.Parameters[:2] {
		if !p.Identified || p.Value < *p.Low || p.Value > *p.High {
			t.Errorf("%+v", p)
		}
	}
	preset := config(t, paperCSV).Platform
	if out.Platform.Memory != preset.Memory || out.Platform.WeightLimit != preset.WeightLimit || out.Platform.Policy != preset.Policy || out.Platform.Scope != preset.Scope {
		t.Errorf("fitted %+v, preset %+v", out.Platform, preset)
	}
	for j := range parameters {
		if got, want := *parameters[j].get(&out.Platform), *parameters[j].get(&preset); math.Abs(got/want-1) > 0.001 {
			t.Errorf("%s: fitted %v, preset %v", parameters[j].name, got, want)
		}
	}
	if r := out.Ranking; len(r.Networks) != 2 || r.Networks[0].Name != "0.5" || r.Networks[0].LatencyLow >= r.Networks[0].LatencyHigh {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(strings.Join(out.Summary, "\n"), "bounded from above only") {
		t.Error("the summary does not say what is not identified")
	}
}

// write makes measurements of MobileNetV2 on a platform.
func write(t *testing.T, p raptor.Platform) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("network,width,resolution,mu,latency\n")
	for _, width := range []float64{0.35, 0.5, 0.75, 1, 1.4} {
		for _, resolution := range []int{64, 96, 128, 160, 224} {
			net := arch.MobileNetV2()
			e, err := p.Estimate(net.Scale(net.Uniform(width), resolution, arch.Rounding{}))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "MobileNetV2,%v,%d,%v,%v\n", width, resolution, e.Mu, e.Latency)
		}
	}
	file := filepath.Join(t.TempDir(), "made.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// Measurements that a platform made give that platform back, also with
// transfers that overlap, and from a start that is far away.
func TestRecovers(t *testing.T) {
	for _, double := range []bool{false, true} {
		truth := raptor.Platform{Name: "truth", Clock: 1e8, PEs: 64, Rates: raptor.Rates{Conv: 40, Depthwise: 3, Pointwise: 40, Linear: 40},
			Memory: 192 << 10, WeightLimit: 307200, ActivationCost: 0.8, WeightCost: 0.3, TileCost: 500, OversizeCost: 2e6,
			DoubleBuffer: double, Power: 1, Policy: raptor.Resident, Scope: raptor.GroupScope}
		c := config(t, write(t, truth))
		c.Platform.Clock, c.Platform.PEs, c.Platform.DoubleBuffer = truth.Clock, truth.PEs, double
		c.MemoryMin, c.MemoryMax, c.MemoryStep = 128<<10, 256<<10, 32<<10
		out, err := run(context.Background(), new(pipeline.Task), c)
		if err != nil {
			t.Fatal(err)
		}
		got := out.Platform
		if double { // how layers are cut depends on what is fitted: a fit from afar comes near
			if out.RMS > 0.06 || out.LOO > 0.06 {
				t.Errorf("double buffering: rms %v, left out %v", out.RMS, out.LOO)
			}
			continue
		}
		if out.RMS > 2e-3 || out.LOO > 0.01 {
			t.Errorf("double buffering %v: rms %v, left out %v", double, out.RMS, out.LOO)
		}
		if got.Memory != truth.Memory || got.WeightLimit != truth.WeightLimit || got.Policy != truth.Policy || got.Scope != truth.Scope {
			t.Errorf("double buffering %v: got %+v", double, got)
		}
		for j := range parameters {
			if g, w := *parameters[j].get(&got), *parameters[j].get(&truth); math.Abs(g/w-1) > 0.1 {
				t.Errorf("double buffering %v: %s: got %v, want %v", double, parameters[j].name, g, w)
			}
		}
	}
}

// What is not in fit stays as it is, to the bit: rates of their own for each
// kind of layer, and costs of 0. Where the common rate is fitted, the rates
// keep their proportions.
func TestKeepsTheRest(t *testing.T) {
	truth := raptor.Platform{Name: "own", Clock: 4e8, PEs: 64, Rates: raptor.Rates{Conv: 48, Depthwise: 7, Pointwise: 56, Linear: 16},
		Memory: 96 << 10, WeightMemory: 64 << 10, ActivationCost: 0.7, Power: 0.1, Policy: raptor.Layerwise, Scope: raptor.BlockScope}
	for _, fit := range [][]string{{"activation_cost"}, {"rate", "activation_cost"}, {}} {
		c := config(t, write(t, truth))
		c.Platform, c.Fit, c.Policies = truth, fit, []Policy{{raptor.Layerwise, raptor.BlockScope}}
		if c.fitted("activation_cost") {
			c.Platform.ActivationCost = 5
		}
		if c.fitted("rate") {
			c.Platform.Rates.Conv, c.Platform.Rates.Pointwise, c.Platform.Rates.Linear = 24, 28, 8
		}
		out, err := run(context.Background(), new(pipeline.Task), c)
		if err != nil {
			t.Fatal(err)
		}
		got := out.Platform
		for _, p := range append(out.Plausible, got) {
			if err := p.Validate(); err != nil {
				t.Errorf("fit %v: %v", fit, err)
			}
		}
		for name, v := range map[string][2]float64{
			"activation_cost": {got.ActivationCost, truth.ActivationCost}, "rates.conv": {got.Rates.Conv, truth.Rates.Conv},
			"rates.pointwise": {got.Rates.Pointwise, truth.Rates.Pointwise}, "rates.linear": {got.Rates.Linear, truth.Rates.Linear},
		} {
			if math.Abs(v[0]/v[1]-1) > 1e-4 {
				t.Errorf("fit %v: %s is %v, want %v", fit, name, v[0], v[1])
			}
		}
		if !c.fitted("rate") && got.Rates != truth.Rates {
			t.Errorf("fit %v: the rates became %+v", fit, got.Rates)
		}
		got.ActivationCost, got.Rates.Conv, got.Rates.Pointwise, got.Rates.Linear = truth.ActivationCost, truth.Rates.Conv, truth.Rates.Pointwise, truth.Rates.Linear
		if got != truth {
			t.Errorf("fit %v: got %+v, want %+v", fit, got, truth)
		}
	}
}

// Measurements in another unit are no fit, and the summary says so; the mark
// that spreadsheets begin a file with is no part of the first column's name.
func TestNoFit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ms.csv")
	if err := os.WriteFile(file, []byte("\ufeffnetwork,width,resolution,latency\nMobileNetV2,0.35,96,12\nMobileNetV2,0.5,96,18\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := config(t, file)
	c.Fit, c.Policies = []string{"activation_cost"}, c.Policies[:1]
	out, err := run(context.Background(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Summary) < 2 || !strings.Contains(out.Summary[1], "That is no fit") {
		t.Errorf("%q", out.Summary)
	}
}

// paperProblem returns the fit of every parameter under a limit on the weights.
func paperProblem(t *testing.T, c Config) *problem {
	t.Helper()
	ms, err := readMeasurements(c.Measurements, nil, arch.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	cal := newCalibration(new(pipeline.Task), c, ms)
	ts, err := cal.price(&c.Platform)
	if err != nil {
		t.Fatal(err)
	}
	return cal.problem(&design{platform: c.Platform, terms: withLimit(ts, 150000)}, -1)
}

// The fit's derivatives are those of finite differences.
func TestDerivatives(t *testing.T) {
	for _, double := range []bool{false, true} {
		c := config(t, paperCSV)
		c.Platform.DoubleBuffer = double
		p := paperProblem(t, c)
		rng := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			x := p.start
			for j := range x {
				x[j] += rng.NormFloat64() / 2
			}
			_, gradient, _ := p.evaluate(x)
			for j := range x {
				const h = 1e-5
				up, down := x, x
				up[j] += h
				down[j] -= h
				a, _, _ := p.evaluate(up)
				b, _, _ := p.evaluate(down)
				if want := (a - b) / (4 * h); math.Abs(gradient[j]-want) > 1e-4*(1+math.Abs(want)) {
					t.Errorf("%s: gradient %v, want %v", parameters[j].name, gradient[j], want)
				}
			}
		}
	}
}

// A method that knows no derivatives finds nothing better than ours.
func TestNelderMeadAgrees(t *testing.T) {
	for _, double := range []bool{false, true} {
		c := config(t, paperCSV)
		c.Platform.DoubleBuffer = double
		p := paperProblem(t, c)
		best := p.fit(10, rand.New(rand.NewPCG(1, 2)))
		at := func(free []float64) vector {
			x := best.x
			for k, j := range p.free {
				x[j] = free[k]
			}
			return p.clamp(x)
		}
		start := make([]float64, len(p.free))
		for k, j := range p.free {
			start[k] = best.x[j]
		}
		result, err := optimize.Minimize(optimize.Problem{Func: func(free []float64) float64 {
			sse, _, _ := p.evaluate(at(free))
			return sse
		}}, start, &optimize.Settings{MajorIterations: 2000}, &optimize.NelderMead{})
		if result == nil {
			t.Fatal(err)
		}
		if result.F < best.sse*(1-1e-4) {
			t.Errorf("Nelder–Mead goes on from %v to %v", best.sse, result.F)
		}
	}
}

// The quantile is that of Fisher's distribution.
func TestFisher(t *testing.T) {
	for dof := 1; dof < 300; dof++ {
		want := distuv.F{D1: 1, D2: float64(dof)}.Quantile(confidence) / float64(dof)
		if got := fisher(dof); math.Abs(got/want-1) > 1e-9 {
			t.Errorf("%d degrees of freedom: %v, want %v", dof, got, want)
		}
	}
}

// smallSearch is the paper's calibration over few memories and policies.
func smallSearch(t *testing.T, cpus int) Output {
	t.Helper()
	c := config(t, paperCSV)
	c.MemoryMin, c.MemoryMax, c.MemoryStep = 256<<10, 320<<10, 16<<10
	c.Policies = []Policy{{raptor.Resident, raptor.GroupScope}, {raptor.Mixed, raptor.NetworkScope}}
	out, err := run(context.Background(), pipeline.NewTask(pipeline.Env{CPUs: cpus}), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A version gives what it gave.
func TestGolden(t *testing.T) {
	pipelinetest.Golden(t, Stage, map[string]any{"paper": smallSearch(t, 1)})
}

// The result does not depend on the number of threads.
func TestThreads(t *testing.T) {
	if !reflect.DeepEqual(smallSearch(t, 1), smallSearch(t, 3)) {
		t.Error("3 threads give another result than 1")
	}
}

// A canceled calibration ends at once.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := run(ctx, new(pipeline.Task), config(t, paperCSV)); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// parsed reads measurements from a text.
func parsed(text string, networks map[string]arch.Spec) ([]measurement, error) {
	table, err := sheet.Parse("board.csv", []byte(text), sheet.Comments)
	if err != nil {
		return nil, err
	}
	return parse(table, networks, arch.Spec{})
}

// Mistakes in the file are found, with the line.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"", "1: the text is empty; its first line must name the columns"},
		{"network,with\n", `1: there is no column "with"`},
		{"network;width;latency\n", "1: the cells have semicolons between them"},
		{"mu,mu\n", `1: column "mu" is there twice`},
		{"network,width,resolution\n# fine\nMobileNetV2,0.5\n", "3: 2 cells where line 1 names 3 columns"},
		{"network,width,resolution\nMobileNetV2,half,96\n", `2: width: "half" is not a number above 0`},
		{"network,width,resolution\nMobileNetV2,-1,96\n", `2: width: "-1" is not a number above 0`},
		{"network,width,resolution\nMobileNetV2,0.5,96.5\n", "2: resolution: 96.5 is not a whole number"},
		{"network,width,resolution\nMobileNetV2,0.5,5000\n", "2: resolution: 5000 is beyond 4096"},
		{"network,width,resolution\nMobileNetV2,0.5,\n", `2: network "MobileNetV2": resolution: must be written`},
		{"network,width,resolution,latency\nMobileNetV2,1,96,0.02\nResNet18,1,96,0.013\n", `3: no network "ResNet18": write MobileNetV2 or mine, or add it to the attribute networks`},
		{"network,mu\nours,0.1\n", `2: no network "ours": write MobileNetV2 or mine`},
		{"network,width,resolution,mu\n,0.5,96,0.1\n", `2: no network "": write MobileNetV2 or mine`},
		{"network,width,resolution,mu\nmobilenetv2,0.5,96,0.1\n", `2: no network "mobilenetv2": write MobileNetV2 or mine`},
		{"network,width,mu\nmine,0.5,0.1\n", `2: width: network "mine" has the widths that the attribute networks gives it`},
		{"network,mu\nMobileNetV2,0.1\n", `2: network MobileNetV2 has no width`},
		{"network,width,resolution,kind\nMobileNetV2,0.5,96,guessed\n", `2: kind: "guessed", want measured, published, or an empty cell for measured`},
		{"network,width,resolution,supported\nMobileNetV2,0.5,96,maybe\n", `2: supported: "maybe", want yes, no, or an empty cell`},
	} {
		_, err := parsed(c.file, map[string]arch.Spec{"mine": {Width: 1, Resolution: 96}})
		if err == nil || !strings.HasPrefix(err.Error(), "board.csv:"+c.want) {
			t.Errorf("%q: %v, want %s", c.file, err, c.want)
		}
	}
}

// What cannot be fitted is said, not guessed.
func TestRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "few.csv")
	if err := os.WriteFile(file, []byte("network,width,resolution,mu,supported\nMobileNetV2,0.5,96,0.1,no\nMobileNetV2,1,96,0.1,yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := config(t, file)
	if _, err := run(context.Background(), new(pipeline.Task), c); err == nil || !strings.Contains(err.Error(), "8 parameters cannot be fitted to 2 values") {
		t.Errorf("too few values: %v", err)
	}
	c.Fit = []string{"weight_limit"}
	if _, err := run(context.Background(), new(pipeline.Task), c); err == nil || !strings.Contains(err.Error(), "no limit on a layer's weights agrees") {
		t.Errorf("contradiction: %v", err)
	}
	c.Fit, c.Platform.ActivationCost, c.Platform.WeightCost, c.Platform.TileCost = nil, 0, 0, 0
	if _, err := run(context.Background(), new(pipeline.Task), c); err == nil || !strings.Contains(err.Error(), "where moving data costs nothing there is no μ") {
		t.Errorf("nothing costs: %v", err)
	}
	if err := os.WriteFile(file, []byte("network,width,resolution\nMobileNetV2,0.5,96\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(context.Background(), new(pipeline.Task), c); err == nil || !strings.Contains(err.Error(), "measurements: no value of mu or latency in 1 rows") {
		t.Errorf("nothing measured: %v", err)
	}
	c.Fit = []string{"ram"}
	if err := Stage.CheckConfig(c); err == nil || !strings.Contains(err.Error(), `fit[0]: there is no parameter "ram"`) {
		t.Errorf("unknown parameter: %v", err)
	}
}

// No file makes the parser panic, and what it accepts is complete.
func FuzzParse(f *testing.F) {
	paper, err := os.ReadFile(paperCSV)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(paper))
	f.Add("network,width,resolution,mu\nours,,,0.1\nx,1e300,1e300,1\n")
	specs := map[string]arch.Spec{"ours": {Width: 0.5, Resolution: 32}}
	f.Fuzz(func(t *testing.T, file string) {
		ms, err := parsed(file, specs)
		if err != nil {
			return
		}
		for _, m := range ms {
			if len(m.net.Layers) == 0 || m.mu < 0 || m.latency < 0 || m.resolution < 1 {
				t.Errorf("accepted %+v", m)
			}
		}
	})
}

// A figure of the file is measured or published, as the file says, and names
// its source; what the file does not have is null.
func TestRowsSayWhereFiguresAreFrom(t *testing.T) {
	ms, err := parsed("network,width,resolution,mu,latency,kind,source\nMobileNetV2,0.5,96,0.1,,published,a paper\nMobileNetV2,0.5,128,0.2,,,board 7\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []pipeline.Origin{{Kind: pipeline.Published, Source: "a paper"}, {Kind: pipeline.Measured, Source: "board 7"}} {
		r := newRow(&ms[i], &raptor.Estimate{Mu: 1}, &raptor.Estimate{Mu: 1})
		if got := r.MuMeasured; got.Value != ms[i].mu || len(got.Origins) != 1 || got.Origins[0] != want {
			t.Errorf("row %d: %+v, want it %+v", i, got, want)
		}
		if r.LatencyMeasured.Value != nil {
			t.Errorf("row %d: latency %v, want null", i, r.LatencyMeasured)
		}
	}
}

// A datasheet's platform, clock, PEs and memory, can be fitted to a handful of values: as
// many parameters as these identify, of which the summary tells.
func TestDatasheet(t *testing.T) {
	sheet := raptor.Platform{Name: "NPU", Clock: 400e6, PEs: 64, Memory: 96 << 10}
	tests := []struct{ rows, fit, rest string }{
		{"0.35,96,,0.012\n0.35,128,,0.020\n0.5,96,,0.018\n0.5,160,,0.045\n1,96,,0.05\n", "rate, rates.depthwise, activation_cost", "weight_cost, tile_cost"},
		{"0.35,96,0.1,0.012\n0.5,96,0.12,\n", "rate, activation_cost", "rates.depthwise, weight_cost"},
		{"0.35,96,0.1,0.012\n0.35,128,0.11,0.020\n0.5,96,0.12,0.018\n0.5,160,0.14,0.045\n", "rate, rates.depthwise, activation_cost, weight_cost, tile_cost", "oversize_cost, memory"},
	}
	for _, test := range tests {
		file := filepath.Join(t.TempDir(), "board.csv")
		if err := os.WriteFile(file, []byte("width,resolution,mu,latency\n"+test.rows), 0o644); err != nil {
			t.Fatal(err)
		}
		c := config(t, file)
		c.Platform, c.Fit, c.Policies = sheet, []string{auto}, c.Policies[:1]
		if err := Stage.CheckConfig(c); err != nil {
			t.Fatal(err)
		}
		out, err := run(t.Context(), new(pipeline.Task), c)
		if err != nil {
			t.Errorf("%q: %v", test.rows, err)
			continue
		}
		if want := "can identify " + test.fit + "; " + test.rest; !strings.Contains(out.Summary[1], want) {
			t.Errorf("%q: %q, want %q", test.rows, out.Summary[1], want)
		}
		if err := out.Platform.Validate(); err != nil {
			t.Errorf("%q: the fitted platform: %v", test.rows, err)
		}
		if out.Platform.Memory != sheet.Memory {
			t.Errorf("%q: memory %d", test.rows, out.Platform.Memory)
		}
	}
	c := config(t, paperCSV)
	c.Platform = raptor.Platform{Name: "NPU", PEs: 64, Memory: 1, Clock: -1}
	if err := Stage.CheckConfig(c); err == nil || !strings.Contains(err.Error(), "platform.clock") || strings.Contains(err.Error(), "rates") {
		t.Errorf("got %v", err)
	}
	c.Platform = sheet
	c.Fit = []string{auto, "rate"}
	if err := Stage.CheckConfig(c); err == nil || !strings.Contains(err.Error(), `fit[0]: "auto" stands by itself`) {
		t.Errorf("got %v", err)
	}
}

// Where there are enough data, everything is fitted by default.
func TestAutoFitsAll(t *testing.T) {
	ms, err := readMeasurements(artifacts.Local(paperCSV), nil, arch.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := raptor.Preset("tinyraptor")
	if err != nil {
		t.Fatal(err)
	}
	if got := identified(ms, values(ms), &p); !slices.Equal(got, names()) {
		t.Errorf("of %d values: %v", values(ms), got)
	}
}
