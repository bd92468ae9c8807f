package calibrate

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// few are measurements of a board that no form meets.
const few = `network,width,resolution,latency,mu,role
MobileNetV2,0.5,160,0.087,,
MobileNetV2,0.35,192,0.106,,
MobileNetV2,0.35,96,0.02,,
MobileNetV2,0.75,96,0.05,,
MobileNetV2,1,96,0.08,,
MobileNetV2,0.5,96,0.03,,
`

// board returns the defaults for a datasheet and the rows.
func board(t testing.TB, memory int64, rows string) Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "board.csv")
	if err := os.WriteFile(file, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	c := config(t, file)
	c.Platform = raptor.Platform{Name: "board", Clock: 200e6, PEs: 128, Memory: memory}
	pooled := arch.Shape{C: 8, H: 32, W: 32}
	c.Networks = map[string]arch.Spec{
		"pool": chain(pooled, pool()),
		"add":  chain(pooled, arch.LayerSpec{Op: arch.Add, Inputs: []string{"input", "input"}}),
		"long": chain(arch.Shape{C: 1, H: 4, W: 4000}, conv(8, 3, 1), pool()),
	}
	return c
}

// What is odd is fitted, or refused by name: never a panic, nor a number that JSON has not.
func TestOddMeasurements(t *testing.T) {
	for name, x := range map[string]struct {
		memory int64
		rows   string
		form   string
		want   string // of the error
	}{
		"a network that is free in some forms":    {256 << 10, few + "pool,,,0.001,,\n", "", ""},
		"a network that is free in the form":      {256 << 10, few + "pool,,,0.001,,\n", "spill", `line 8: network "pool": in the form spill it takes no time`},
		"a μ of what computes nothing":            {256 << 10, few + "add,,,,0.5,\n", "mixed", `line 8: network "add": in the form mixed it computes or moves nothing`},
		"predicted for nothing":                   {256 << 10, few + "pool,,,0.001,0.2,held\n", "spill", ""},
		"a predicted network without room":        {4 << 10, few + "long,,,0.01,,held\n", "", `line 8: network "long": layer "conv1"`},
		"built-in probes without room":            {4 << 10, few, "", ""},
		"a latency in picoseconds":                {256 << 10, "width,resolution,latency\n0.5,96,1e-12\n", "", "can hardly be meant"},
		"a latency beyond all numbers to be had":  {256 << 10, "width,resolution,latency\n0.5,96,1e300\n", "", "can hardly be meant"},
		"one measurement":                         {256 << 10, "width,resolution,latency\n0.5,96,0.03\n", "", ""},
		"the same network, differently, and μ":    {256 << 10, "width,resolution,latency,mu\n0.5,96,0.03,0.1\n0.5,96,0.3,\n", "", ""},
		"one measurement, and memory to be found": {0, "width,resolution,mu\n0.5,96,0.03\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := board(t, x.memory, x.rows)
			c.Form = x.form
			out, err := run(t.Context(), new(pipeline.Task), c)
			if x.want != "" {
				if err == nil || !strings.Contains(err.Error(), x.want) {
					t.Fatalf("got %v, want an error with %q", err, x.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(out); err != nil {
				t.Error(err)
			}
			for _, p := range out.Parameters {
				if p.Low != nil && *p.Low > p.Value*(1+1e-9) || p.High != nil && *p.High < p.Value*(1-1e-9) {
					t.Errorf("%s is %v, in an interval without it", p.Name, p.Value)
				}
			}
		})
	}
}

// A rate of depthwise layers that is fitted by itself, and far above the others, does not
// push these to the number of the PEs.
func TestRatesAreTheirOwn(t *testing.T) {
	p := raptor.Platform{Clock: 200e6, PEs: 128, Memory: 1 << 18, Rates: raptor.Rates{Conv: 20, Pointwise: 20, Linear: 20, Depthwise: 60}, Policy: raptor.Mixed, Scope: raptor.NetworkScope}
	q := newProblem(nil, nil, &p, &p, &forms[0], []int{index("rate"), index("rates.depthwise")})
	for k, want := range []float64{20, 60} {
		if v, _ := q.value(&q.start, k); math.Abs(v-want) > 1e-9 {
			t.Errorf("%s starts at %v, want %v", parameters[q.free[k]].name, v, want)
		}
	}
}

// What the recipe says of columns holds, whatever the file calls others.
func TestColumnsOfOthers(t *testing.T) {
	c := board(t, 256<<10, "width,resolution,latency,time_s\n0.5,96,30,0.03\n0.5,128,50,0.05\n")
	c.Columns = map[string]string{"latency": "time_s"}
	out, err := run(t.Context(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.Rows[0].LatencyMeasured.Value; got != 0.03 {
		t.Errorf("latency measured is %v, want 0.03", got)
	}
	c.Columns["mu"] = "time_s"
	if err := Stage.CheckConfig(c); err == nil || !strings.Contains(err.Error(), "time_s") {
		t.Errorf("one column is two things: got %v", err)
	}
	c.Columns, c.Fit = nil, names()
	if err := Stage.CheckConfig(c); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("all parameters at once: got %v", err)
	}
}
