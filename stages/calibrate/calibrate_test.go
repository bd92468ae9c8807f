package calibrate

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
)

// The paper's 13 values, and of the platform clock, PEs and power, give the preset: its form
// by the rule, and its values. The errors are those that the page on the paper states.
func TestPaper(t *testing.T) {
	c := config(t, paperCSV)
	c.Compare = map[string]arch.Spec{"0.5": {Width: 0.5, Resolution: 160}, "0.35": {Width: 0.35, Resolution: 192}}
	out := mustRun(t, c)
	for _, s := range out.Summary {
		t.Log(s)
	}
	if out.Form != "spill" {
		t.Errorf("the form is %s", out.Form)
	}
	table1, table3 := out.Sets["table 1"], out.Sets["table 3"]
	for name, check := range map[string]struct{ got, most float64 }{
		"MACs rms":       {*table1.MACsRMS, 0.035},
		"MACs worst":     {*table1.MACsWorst, 0.05},
		"μ rms":          {*table1.MuRMS, 0.030},
		"μ left out":     {*table1.MuLOO, 0.045},
		"latency, worst": {*table3.LatencyWorst, 0.06},
	} {
		if check.got > check.most {
			t.Errorf("%s: %.4f, want at most %.3f", name, check.got, check.most)
		}
	}
	want := preset(t, "tinyraptor")
	got := out.Platform
	if got.Memory != want.Memory || got.WeightLimit != want.WeightLimit || got.Policy != want.Policy || got.Free != want.Free || got.Power != want.Power {
		t.Errorf("fitted %+v, preset %+v", got, want)
	}
	for name, v := range map[string][2]float64{
		"rate": {got.Rates.Conv, want.Rates.Conv}, "output_cost": {got.OutputCost, want.OutputCost}, "activation_cost": {got.ActivationCost, want.ActivationCost},
		"weight_cost": {got.WeightCost, want.WeightCost}, "spill_cost": {got.SpillCost, want.SpillCost}, "rates.depthwise": {got.Rates.Depthwise, want.Rates.Depthwise},
	} {
		if !within(v[0], v[1], 0.001) {
			t.Errorf("%s: fitted %v, preset %v", name, v[0], v[1])
		}
	}
	for _, p := range out.Parameters {
		if p.Value < *p.Low || p.Value > *p.High || p.Name != "rate" && !p.Identified {
			t.Errorf("%+v", p)
		}
	}
	if r := out.Ranking; len(r.Networks) != 2 || r.Networks[0].Name != "0.5" || r.Networks[0].LatencyLow >= r.Networks[0].LatencyHigh {
		t.Errorf("%+v", r)
	}
	for _, platform := range out.Plausible {
		if err := platform.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// Measurements that a platform made give that platform back in its own form: errors far below
// what the priors take to be usual, every value that they determine in its interval, and the
// latencies of networks that were not measured.
func TestRecovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for _, name := range []string{"spill", "spill-depthwise", "mixed", "mixed-results", "overlap"} {
		f := formOf(t, name)
		truth := drawn(t, rng, f, 1)
		file, networks := made(t, truth, true)
		c := small(t, file, name)
		c.Platform = raptor.Platform{Name: "datasheet", Clock: truth.Clock, PEs: truth.PEs, Memory: truth.Memory}
		c.Networks, c.Starts = networks, 4
		out := mustRun(t, c)
		if out.RMS > 0.005 || out.LOO > 0.05 {
			t.Errorf("form %s: rms %v, left out %v", name, out.RMS, out.LOO)
		}
		for _, p := range out.Parameters {
			want := parameters[index(p.Name)].first(&truth)
			if low, high := bounds(&p); want < low*0.99 || want > high*1.01 {
				t.Errorf("form %s: %s is %v between %v and %v, the truth is %v", name, p.Name, p.Value, low, high, want)
			}
		}
		for _, net := range []arch.Network{mobilenet(0.75, 96), mobilenet(1.4, 160)} {
			got, err := out.Platform.Estimate(net)
			if err != nil {
				t.Fatal(err)
			}
			want, err := truth.Estimate(net)
			if err != nil {
				t.Fatal(err)
			}
			if !within(got.Latency, want.Latency, 0.02) {
				t.Errorf("form %s: %v s, want %v", name, got.Latency, want.Latency)
			}
		}
	}
}

// bounds returns a parameter's interval, infinite where it is open.
func bounds(p *Parameter) (low, high float64) {
	low, high = 0, math.Inf(1)
	if p.Low != nil {
		low = *p.Low
	}
	if p.High != nil {
		high = *p.High
	}
	return low, high
}

// The memory is found, too, where the platform has none.
func TestFindsMemory(t *testing.T) {
	truth := preset(t, "tinyraptor")
	file, networks := made(t, truth, false)
	c := small(t, file, "spill")
	c.Networks, c.Platform.Memory = networks, 0
	out := mustRun(t, c)
	p := out.Parameters[0]
	if p.Name != memory || p.Low == nil || p.High == nil || *p.Low > float64(truth.Memory) || *p.High < float64(truth.Memory) || *p.High > 1.2**p.Low {
		t.Errorf("%+v, want %d", p, truth.Memory)
	}
}

// What is not in fit stays as it is, to the bit: rates of their own for each kind of layer, and
// costs of 0. Where the common rate is fitted, the rates keep their proportions.
func TestKeepsTheRest(t *testing.T) {
	truth := raptor.Platform{Name: "own", Clock: 4e8, PEs: 64, Rates: raptor.Rates{Conv: 48, Depthwise: 7, Pointwise: 56, Linear: 16},
		Memory: 96 << 10, WeightMemory: 64 << 10, ActivationCost: 0.7, Power: 0.1, Policy: raptor.Layerwise, Scope: raptor.BlockScope}
	file, networks := made(t, truth, true)
	for _, fit := range [][]string{{"activation_cost"}, {"rate", "rates.depthwise", "activation_cost"}, {}} {
		c := small(t, file, "layerwise")
		c.Platform, c.Networks, c.Fit = truth, networks, fit
		if slices.Contains(fit, "activation_cost") {
			c.Platform.ActivationCost = 5
		}
		if slices.Contains(fit, "rate") {
			c.Platform.Rates.Conv, c.Platform.Rates.Pointwise, c.Platform.Rates.Linear = 36, 42, 12
		}
		out := mustRun(t, c)
		got := out.Platform
		for name, v := range map[string][2]float64{
			"activation_cost": {got.ActivationCost, truth.ActivationCost}, "rates.conv": {got.Rates.Conv, truth.Rates.Conv}, "rates.depthwise": {got.Rates.Depthwise, truth.Rates.Depthwise},
			"rates.pointwise": {got.Rates.Pointwise, truth.Rates.Pointwise}, "rates.linear": {got.Rates.Linear, truth.Rates.Linear},
		} {
			if !within(v[0], v[1], 1e-2) {
				t.Errorf("fit %v: %s is %v, want %v", fit, name, v[0], v[1])
			}
		}
		if !slices.Contains(fit, "rate") && got.Rates != truth.Rates {
			t.Errorf("fit %v: the rates became %+v", fit, got.Rates)
		}
		if a, b := got.Rates.Conv/got.Rates.Linear, 3.0; !within(a, b, 1e-9) {
			t.Errorf("fit %v: rates %+v are in another proportion", fit, got.Rates)
		}
		got.ActivationCost, got.Rates = truth.ActivationCost, truth.Rates
		if got != truth {
			t.Errorf("fit %v: got %+v, want %+v", fit, got, truth)
		}
	}
}

// Measurements in another unit are no fit, and the summary says so; the mark that spreadsheets
// begin a file with is no part of the first column's name.
func TestNoFit(t *testing.T) {
	c := small(t, text(t, "\ufeffnetwork,width,resolution,latency\nMobileNetV2,0.35,96,12000\nMobileNetV2,0.5,96,18000\n"), "spill")
	if out := mustRun(t, c); !strings.Contains(out.Summary[1], "That is no fit") {
		t.Errorf("%q", out.Summary)
	}
}

// Rows of another role than train are predicted: what they say moves nothing. A recipe may name
// the roles or networks to fit to. Errors and the coverage of the intervals are summed up by
// role.
func TestHeldOut(t *testing.T) {
	rows := "width,resolution,role,latency\n0.5,96,train,0.040\n0.5,160,,0.090\n0.35,192,train,0.105\n"
	fit := func(rows string, train ...string) Output {
		c := small(t, text(t, rows), "spill")
		c.Train = train
		return mustRun(t, c)
	}
	alone, with := fit(rows), fit(rows+"1,224,board B,99\n1,96,board B,0.1\n")
	if alone.Platform != with.Platform || alone.RMS != with.RMS || !reflect.DeepEqual(alone.Parameters, with.Parameters) {
		t.Error("rows that are held out move the fit")
	}
	if alone.Roles["fitted"].Rows != 3 || alone.Roles["fitted"].Coverage != nil {
		t.Errorf("%+v", alone.Roles)
	}
	held := with.Roles["board B"]
	if held.Rows != 2 || held.Coverage == nil || *held.Coverage > 0.5 {
		t.Errorf("held out: %+v", held)
	}
	for i, r := range with.Rows {
		if r.Fitted != (i < 3) {
			t.Errorf("row %d: fitted %v", i, r.Fitted)
		}
	}
	named := fit(rows+"1,96,board B,0.1\n", "board B", "MobileNetV2 0.5@96")
	var fitted []string
	for _, r := range named.Rows {
		if r.Fitted {
			fitted = append(fitted, r.Network)
		}
	}
	if want := []string{"MobileNetV2 0.5@96", "MobileNetV2 1@96"}; !slices.Equal(fitted, want) {
		t.Errorf("fitted to %v, want %v", fitted, want)
	}
}

// The coverage is the share of the predicted rows that lie in their intervals.
func TestCoverage(t *testing.T) {
	s := scores{}
	for i, r := range []struct {
		fitted bool
		value  float64
	}{{true, 9}, {false, 1}, {false, 2}, {false, 2.1}, {false, 1.5}} {
		row := Row{Fitted: r.fitted, LatencyMeasured: pipeline.Traced{Value: r.value}, LatencyError: ptr(0.1), LatencyUnseen: ptr(0.1), LatencyInterval: []float64{1, 2}}
		s.add(&row)
		if i == 0 && s.set().Coverage != nil {
			t.Error("a row that was fitted to counts")
		}
	}
	if c := s.set().Coverage; c == nil || *c != 0.75 {
		t.Errorf("coverage %v, want 0.75", c)
	}
}

// The intervals of networks that were not measured hold, where the priors do: of platforms drawn
// from them and measured with noise, most of what the fits predict.
func TestIntervalsHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	inside, all := 0, 0
	for range 12 {
		f := formOf(t, "spill")
		truth := drawn(t, rng, f, 1.5)
		var b strings.Builder
		b.WriteString("network,width,resolution,role,latency\n")
		row := func(name, rest string, net arch.Network) {
			e, err := truth.Estimate(net)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%q,%s,%v\n", name, rest, e.Latency*math.Exp(0.02*rng.NormFloat64()))
		}
		for _, width := range []float64{0.35, 0.5, 1} {
			for _, resolution := range []int{96, 160} {
				row("MobileNetV2", fmt.Sprintf("%v,%d,train", width, resolution), mobilenet(width, resolution))
			}
		}
		for name := range probes {
			row(name, ",,foreign", probe(t, name))
		}
		c := small(t, text(t, b.String()), "spill")
		c.Networks, c.Platform = probes, raptor.Platform{Name: "datasheet", Clock: truth.Clock, PEs: truth.PEs, Memory: truth.Memory}
		out := mustRun(t, c)
		n := out.Roles["foreign"].Rows
		all += n
		inside += int(math.Round(float64(n) * *out.Roles["foreign"].Coverage))
	}
	if share := float64(inside) / float64(all); share < 0.85 {
		t.Errorf("%d of %d lie in their intervals of 95 %%", inside, all)
	}
}

// A weight limit is found only where a row says that a network is not supported: the largest
// layer of those that are. Else the platform's stays.
func TestWeightLimit(t *testing.T) {
	small, middle := raptor.LargestWeights(mobilenet(0.35, 96)), raptor.LargestWeights(mobilenet(0.5, 96))
	for _, test := range []struct {
		of0_35, of0_5, of1 string
		limit, want        int64
	}{
		{"", "", "", 0, 0},
		{"yes", "yes", "", 0, 0},
		{"yes", "yes", "yes", 70_000, 70_000},
		{"yes", "yes", "no", 0, middle},
		{"yes", "no", "no", 5, small},
		{"", "", "no", 0, 1},
	} {
		c := calibration{Config: Config{Platform: raptor.Platform{WeightLimit: test.limit}}}
		c.ms = []measurement{{net: mobilenet(0.35, 96), supported: test.of0_35}, {net: mobilenet(0.5, 96), supported: test.of0_5}, {net: mobilenet(1, 96), supported: test.of1}}
		if got := c.weightLimit(); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}

// quick is the paper's calibration with few memories and forms.
func quick(t *testing.T, cpus int) Output {
	t.Helper()
	c := config(t, paperCSV)
	c.MemoryMin, c.MemoryMax, c.MemoryStep = 160<<10, 256<<10, 16<<10
	c.Forms = []string{"spill", "mixed", "overlap"}
	c.Compare = map[string]arch.Spec{"0.5": {Width: 0.5, Resolution: 160}, "0.35": {Width: 0.35, Resolution: 192}}
	out, err := run(t.Context(), pipeline.NewTask(pipeline.Env{CPUs: cpus}), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A version gives what it gave.
func TestGolden(t *testing.T) {
	pipelinetest.Golden(t, Stage, map[string]any{"paper": quick(t, 1)})
}

// The result does not depend on the number of threads.
func TestThreads(t *testing.T) {
	if !reflect.DeepEqual(quick(t, 1), quick(t, 3)) {
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

// What cannot be fitted is said, not guessed.
func TestRefuses(t *testing.T) {
	for _, test := range []struct{ rows, want string }{
		{"MobileNetV2,0.5,96,0.1,no\nMobileNetV2,1,96,0.1,yes\n", "measurements: a network whose largest layer has 409600 bytes of weights is supported, one with 204800 is not: no limit on a layer's weights agrees"},
		{"MobileNetV2,0.5,96,,\n", "measurements: no value of mu or latency in 1 rows: there is nothing to fit to"},
	} {
		c := small(t, text(t, "network,width,resolution,mu,supported\n"+test.rows), "spill")
		if _, err := run(t.Context(), new(pipeline.Task), c); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
	c := small(t, text(t, "width,resolution,latency\n1,224,0.1\n"), "mixed")
	c.Platform.Memory = 100
	if _, err := run(t.Context(), new(pipeline.Task), c); err == nil || !strings.HasPrefix(err.Error(), "measurements: no form can be fitted to all rows, with any memory that was tried: line 2: ") {
		t.Errorf("too little memory: %v", err)
	}
}

// Mistakes of the block are told at their own attribute.
func TestChecks(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		`form: "spil" is not one of`:                    func(c *Config) { c.Form = "spil" },
		`forms[1]: "sp" is not one of`:                  func(c *Config) { c.Forms = []string{"spill", "sp"} },
		`fit[0]: there is no parameter "ram"`:           func(c *Config) { c.Fit = []string{"ram"} },
		`fit[0]: "auto" stands by itself`:               func(c *Config) { c.Fit = []string{auto, "rate"} },
		"fit: 18 parameters: at most 14 can be fitted":  func(c *Config) { c.Fit = names() },
		"memory_max: 1024 is below memory_min, 32768":   func(c *Config) { c.MemoryMax = 1024 },
		"memory_step: 16380 memories to try":            func(c *Config) { c.MemoryMin, c.MemoryMax, c.MemoryStep = 1<<10, 4<<20, 256 },
		"platform.clock: ":                              func(c *Config) { c.Platform.Clock = -1 },
		`columns.size: there is no such column`:         func(c *Config) { c.Columns = map[string]string{"size": "x"} },
		"networks.a.resolution: ":                       func(c *Config) { c.Networks = map[string]arch.Spec{"a": {Width: 1, Resolution: -1}} },
		"compare.a.resolution: ":                        func(c *Config) { c.Compare = map[string]arch.Spec{"a": {Width: 1, Resolution: -1}} },
		"next.candidates.a.resolution: ":                func(c *Config) { c.Next.Candidates = map[string]arch.Spec{"a": {Width: 1, Resolution: -1}} },
		"next.targets.a.resolution: ":                   func(c *Config) { c.Next.Targets = map[string]arch.Spec{"a": {Width: 1, Resolution: -1}} },
		`platform.policy: no form has the policy "mix"`: func(c *Config) { c.Platform.Policy = "mix" },
	} {
		c := config(t, paperCSV)
		spoil(&c)
		if err := Stage.CheckConfig(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		} else if strings.Contains(err.Error(), "platform.rates") {
			t.Errorf("what is not written is told as a mistake, too: %v", err)
		}
	}
}

// A datasheet, clock, PEs and memory, can be fitted to a single value: the priors hold what it
// does not determine, and the summary says so. The result has a form in JSON.
func TestDatasheet(t *testing.T) {
	for _, rows := range []string{"0.5,96,,0.018\n", "0.35,96,0.1,0.012\n0.5,96,0.12,\n", "0.35,96,,0.012\n0.35,128,,0.020\n0.5,96,,0.018\n0.5,160,,0.045\n1,96,,0.05\n"} {
		c := config(t, text(t, "width,resolution,mu,latency\n"+rows))
		c.Platform = raptor.Platform{Name: "NPU", Clock: 400e6, PEs: 64, Memory: 96 << 10}
		out := mustRun(t, c)
		if len(out.Forms) != len(forms) {
			t.Errorf("%q: %d forms", rows, len(out.Forms))
		}
		for _, p := range append(out.Plausible, out.Platform) {
			if err := p.Validate(); err != nil || p.Memory != c.Platform.Memory {
				t.Errorf("%q: the platform has %d bytes, and %v", rows, p.Memory, err)
			}
		}
		if !strings.Contains(strings.Join(out.Summary, "\n"), "is not determined by the measurements; it stays at what such chips have: ") {
			t.Errorf("%q: %q", rows, out.Summary)
		}
		if _, err := json.Marshal(out); err != nil {
			t.Errorf("%q: %v", rows, err)
		}
	}
}
