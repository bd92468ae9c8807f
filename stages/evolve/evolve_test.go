package evolve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/nn"
	"eyrie/nas/raptor"
	"eyrie/nas/search"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
	"eyrie/pipeline/pipelinetest"
)

func tinyraptor(t testing.TB) raptor.Platform {
	t.Helper()
	p, err := raptor.Preset("tinyraptor")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// usual is a short search for MACs in the paper's space.
func usual(t testing.TB) Config {
	space := paperSpace()
	c := defaults
	c.Space, c.Platform, c.Limit = &space, tinyraptor(t), Limit{Latency: 0.07}
	c.Population, c.Iterations = 50, 40
	return c
}

func evolve(t testing.TB, c Config, env pipeline.Env) (Output, error) {
	t.Helper()
	if err := Stage.CheckConfig(c); err != nil {
		return Output{}, err
	}
	return run(context.Background(), pipeline.NewTask(env), c)
}

func mustEvolve(t testing.TB, c Config) Output {
	t.Helper()
	out, err := evolve(t, c, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The paper's search, as long as the paper's, ends within 2 % of the exact
// optimum under each of the paper's limits; its best is what the model says it
// is, and within the limit.
func TestGapToOptimum(t *testing.T) {
	for _, limit := range []float64{0.03, 0.0697, 0.087} {
		c := usual(t)
		c.Population, c.Iterations, c.Limit.Latency = 100, 500, limit
		out := mustEvolve(t, c)
		b := out.Best
		if out.Gap == nil || *out.Gap < 0 || *out.Gap > 0.02 || *out.Gap != 1-float64(b.MACs)/float64(out.Optimum.MACs) {
			t.Errorf("%v s: %d MACs of %+v, gap %v", limit, b.MACs, out.Optimum, out.Gap)
		}
		net, err := out.Network.Network()
		if err != nil {
			t.Fatal(err)
		}
		e, err := c.Platform.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		if b.Latency > limit || !near(b.Latency, e.Latency) || b.MACs != e.MACs || b.Params != e.Params || !near(b.Mu, e.Mu) {
			t.Errorf("%v s: the best is %+v, its network costs %v s, %d MACs", limit, b, e.Latency, e.MACs)
		}
		if want := 100 * 501; out.Evaluated != want {
			t.Errorf("%d candidates, want %d", out.Evaluated, want)
		}
		last := out.History[len(out.History)-1]
		if last.Evaluated != out.Evaluated || *last.MACs != float64(b.MACs) || last.Top1 != nil || *last.Gap != *out.Gap {
			t.Errorf("the history ends with %+v", last)
		}
	}
}

// Every strategy is better the longer it searches, and comes nearer to the
// optimum than random search.
func TestStrategiesConverge(t *testing.T) {
	gap := map[Strategy]float64{}
	for strategy := range strategies {
		c := usual(t)
		c.Strategy, c.Population, c.Iterations = strategy, 100, 100
		out := mustEvolve(t, c)
		gap[strategy] = *out.Gap
		for i, p := range out.History[1:] {
			if before := out.History[i]; *p.MACs < *before.MACs || p.Evaluated < before.Evaluated {
				t.Errorf("%s: %+v after %+v", strategy, p, before)
			}
		}
	}
	for strategy, g := range gap {
		if g < 0 || strategy != "random" && g >= gap["random"] {
			t.Errorf("%s ends %.4f below the optimum, random search %.4f", strategy, g, gap["random"])
		}
	}
}

// The optimum says whether limits that it leaves out would let it be.
func TestOptimumWithin(t *testing.T) {
	c := usual(t)
	free := mustEvolve(t, c).Optimum
	for _, limit := range []Limit{{Params: 1}, {MACs: 1}} {
		for _, less := range []int64{0, 1} {
			c.Limit = Limit{Latency: 0.07}
			if limit.Params > 0 {
				c.Limit.Params = price(t, c.Platform, *c.Space, free.Subnet).Params - less
			} else {
				c.Limit.MACs = free.MACs - less
			}
			if o := mustEvolve(t, c).Optimum; o.Within != (less == 0) || o.MACs != free.MACs {
				t.Errorf("%v: the optimum is %+v", c.Limit, o)
			}
		}
	}
}

// NSGA-II's front covers nearly all of what the exact front covers, and more
// the longer it searches.
func TestCoverage(t *testing.T) {
	before := 0.0
	for _, iterations := range []int{0, 20, 200} {
		c := usual(t)
		c.Strategy, c.Population, c.Iterations = "nsga2", 100, iterations
		out := mustEvolve(t, c)
		if out.Coverage == nil || *out.Coverage <= before || *out.Coverage > 1 {
			t.Fatalf("%d iterations cover %v, fewer %v", iterations, out.Coverage, before)
		}
		before = *out.Coverage
	}
	if before < 0.98 {
		t.Errorf("200 iterations cover %v", before)
	}
}

// The front is what no other candidate beats, it has the best in it, and no
// more than a population of candidates; all are within all limits.
func TestFrontAndLimits(t *testing.T) {
	c := usual(t)
	c.Strategy, c.Against = NSGA2, []Cost{Latency, Params}
	c.Limit = Limit{Latency: 0.06, Energy: 0.06 * c.Platform.Power * 0.9, Memory: 280000, Params: 2_600_000, MACs: 120_000_000}
	out := mustEvolve(t, c)
	if n := len(out.Front); n < 10 || n > c.Population {
		t.Errorf("%d candidates on the front", n)
	}
	var points [][]float64
	found := false
	for i, f := range out.Front {
		points = append(points, []float64{float64(f.MACs), -f.Latency, -float64(f.Params)})
		found = found || reflect.DeepEqual(f, out.Best)
		if f.Latency > c.Limit.Latency || f.Energy > c.Limit.Energy || f.Memory > c.Limit.Memory || f.Params > c.Limit.Params || f.MACs > c.Limit.MACs {
			t.Errorf("%+v is beyond %v", f, c.Limit)
		}
		if i > 0 && f.Latency < out.Front[i-1].Latency {
			t.Errorf("candidate %d is faster than the one before", i)
		}
	}
	if !found {
		t.Error("the best is not on the front")
	}
	if n := len(search.Front(points)); n != len(points) {
		t.Errorf("%d of %d candidates on the front are dominated", len(points)-n, len(points))
	}
}

// The exact strategy takes the optimum, and plausible platforms give it an interval: that of
// the optima on each of them.
func TestExact(t *testing.T) {
	c := usual(t)
	slow := c.Platform
	slow.SpillCost *= 1.2
	c.Strategy, c.Plausible = Exact, []raptor.Platform{slow}
	out := mustEvolve(t, c)
	if out.Evaluated != 1 || *out.Gap != 0 || out.Best.MACs != out.Optimum.MACs || out.Best.Mu != out.Optimum.Mu {
		t.Errorf("best %+v, optimum %+v", out.Best, out.Optimum)
	}
	c.Platform, c.Plausible = slow, nil
	other := mustEvolve(t, c).Optimum
	want := []float64{min(out.Optimum.Mu, other.Mu), max(out.Optimum.Mu, other.Mu)}
	if !reflect.DeepEqual(out.Optimum.MuInterval, want) {
		t.Errorf("interval %v, want %v", out.Optimum.MuInterval, want)
	}
	c = usual(t)
	c.Strategy, c.Limit.Params = Exact, 1<<30
	if err := Stage.CheckConfig(c); err == nil || !strings.Contains(err.Error(), `strategy: "exact" knows limits on latency, energy and memory only`) {
		t.Errorf("got %v", err)
	}
}

// A limit that nothing meets is refused at once, with the least that exists.
func TestInfeasible(t *testing.T) {
	for _, x := range []struct {
		limit Limit
		want  string
	}{
		{Limit{Latency: 0.01}, "limit.latency: no subnet is as fast as 10 ms on tinyraptor; the least latency is 19."},
		{Limit{Energy: 1e-5}, "limit.energy: no subnet takes as little as 10 µJ on tinyraptor; the least energy is 203."},
		{Limit{Memory: 1000}, "limit.memory: no subnet fits in 1000 bytes on tinyraptor; the least is "},
		{Limit{Params: 1000}, "limit.params: no subnet has as few as 1000 parameters; the smallest has "},
		{Limit{MACs: 1000}, "limit.macs: no subnet has as few as 1000 MACs; the smallest has "},
	} {
		c := usual(t)
		c.Limit = x.limit
		start := time.Now()
		_, err := evolve(t, c, pipeline.Env{})
		var attr *mistake.Mistake
		if !errors.As(err, &attr) || !strings.HasPrefix(err.Error(), x.want) {
			t.Errorf("%v: got %v, want %s", x.limit, err, x.want)
		}
		t.Logf("%v: %v (%v)", x.limit, err, time.Since(start))
	}
	c := usual(t)
	var least float64
	c.Limit.Latency = 0.01
	_, err := evolve(t, c, pipeline.Env{})
	if n, _ := fmt.Sscanf(err.Error()[strings.LastIndex(err.Error(), "is "):], "is %g ms", &least); n != 1 {
		t.Fatalf("no number in %v", err)
	}
	if c.Limit.Latency = least / 1e3; mustEvolve(t, c).Best.Latency > c.Limit.Latency { // what it says can be met
		t.Errorf("beyond %v ms", least)
	}
	c = usual(t)
	c.Population, c.Iterations, c.Limit.Latency = 2, 0, 0.0205
	want := "limit: none of 2 candidates is within latency ≤ 20.5 ms; the nearest takes "
	if _, err := evolve(t, c, pipeline.Env{}); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	c = usual(t)
	c.Platform.WeightLimit = 1000
	if _, err := evolve(t, c, pipeline.Env{}); err == nil || !strings.HasPrefix(err.Error(), "platform: no subnet of the space runs on tinyraptor: ") {
		t.Errorf("nothing is supported: %v", err)
	}
}

// Wrong attributes are found at plan time.
func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"supernet: write a trained supernet's weights here": func(c *Config) { c.Space = nil },
		"space: the supernet has its own space":             func(c *Config) { c.Supernet = &artifacts.File{} },
		"supernet: accuracy cannot be measured":             func(c *Config) { c.Objective = "accuracy" },
		"dataset: accuracy cannot be measured":              func(c *Config) { c.Objective, c.Supernet, c.Space = "accuracy", &artifacts.File{}, nil },
		"dataset: there is nothing to measure":              func(c *Config) { c.Dataset = &data.Set{} },
		"holdout: accuracy must be sought on images": func(c *Config) {
			c.Objective, c.Supernet, c.Space, c.Dataset = "accuracy", &artifacts.File{}, nil, &data.Set{}
		},
		"predictor: write the predictor":                               func(c *Config) { c.Objective = "predicted" },
		`predictor: belongs to objective = "predicted", not to "macs"`: func(c *Config) { c.Predictor = &artifacts.File{} },
		"parents: must be greater than 0":                              func(c *Config) { c.Parents = 0 },
		"iterations: population × iterations is 50000050 candidates":   func(c *Config) { c.Iterations = 1_000_000 },
		"space.kernels[0]: 4 is even":                                  func(c *Config) { c.Space.Kernels = []int{4} },
		"platform.clock: must be above 0":                              func(c *Config) { c.Platform.Clock = 0 },
		"against: nsga2 trades the objective against costs":            func(c *Config) { c.Strategy, c.Against = "nsga2", nil },
		`against: ["energy" "latency" "energy"] has one twice`:         func(c *Config) { c.Against = []Cost{"energy", "latency", "energy"} },
		"resolutions: 100 is not one of the space's [128 160 192":      func(c *Config) { c.Resolutions = []int{100} },
	} {
		c := usual(t)
		change(&c)
		if _, err := evolve(t, c, pipeline.Env{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Every strategy comes to an end with every objective and kind of limit, in
// spaces of thousands of subnets and of one, with a population of two and
// without iterations; what it yields is within the limits and can be written as
// JSON.
func TestEverySearchEnds(t *testing.T) {
	accuracy := trained(t)
	supernet, err := nn.Load(accuracy.Supernet.Path)
	if err != nil {
		t.Fatal(err)
	}
	many := supernet.Space()
	one := many
	one.Resolutions, one.Expansions, one.Depths, one.Kernels = []int{16}, []int{3}, []int{1}, []int{3}
	base := defaults
	base.Platform, base.Arithmetic = accuracy.Platform, "go"
	configs := map[string]Config{}
	for name, space := range map[string]*arch.Space{"many": &many, "one": &one} {
		c := base
		c.Space = space
		configs["macs/"+name] = c
		for _, method := range []string{"ridge", "k-nn", "mlp"} {
			c := base
			c.Objective = "predicted"
			if name == "many" {
				c.Predictor = predictorOf(t, *space, method)
				configs["predicted/"+method] = c
			}
		}
	}
	accuracy.Measure = 2
	configs["accuracy"] = accuracy
	smallest := price(t, base.Platform, many, many.Smallest())
	limits := []Limit{
		{}, {Latency: 2 * smallest.Latency}, {Energy: 2 * smallest.Energy}, {Memory: smallest.PeakMemory + 1000}, {Params: 2 * smallest.Params}, {MACs: 2 * smallest.MACs},
		{Latency: 2 * smallest.Latency, Energy: 3 * smallest.Energy, Memory: 1 << 30, Params: 2 * smallest.Params, MACs: 3 * smallest.MACs},
		{Latency: 1e9, Energy: 1e9, Memory: 1 << 60, Params: 1 << 60, MACs: 1 << 60},
	}
	for name, c := range configs {
		for strategy := range strategies {
			for i, limit := range limits {
				c.Strategy, c.Limit, c.Against = strategy, limit, [][]Cost{{Latency}, {Energy, Params}}[i%2]
				c.Population, c.Iterations = 2+i%2, i%3
				out, err := evolve(t, c, pipeline.Env{})
				if err != nil {
					t.Errorf("%s, %s, %v: %v", name, strategy, limit, err)
					continue
				}
				if _, err := json.Marshal(out); err != nil {
					t.Errorf("%s, %s, %v: %v", name, strategy, limit, err)
				}
				b := out.Best
				if limit.violation(costs{Latency: b.Latency, Energy: b.Energy, PeakMemory: b.Memory, Params: b.Params, MACs: b.MACs}) > 0 {
					t.Errorf("%s, %s, %v: the best is %+v", name, strategy, limit, b)
				}
			}
		}
	}
}

// price returns what a subnet costs.
func price(t testing.TB, p raptor.Platform, space arch.Space, n arch.Subnet) costs {
	t.Helper()
	m, err := newModel(p, mustCodec(t, space))
	if err != nil {
		t.Fatal(err)
	}
	return m.price(m.codec.encode(n))
}

// A version gives what it gave.
func TestGolden(t *testing.T) {
	space := smallSpace()
	c := defaults
	c.Space, c.Population, c.Iterations, c.Limit = &space, 10, 20, Limit{Latency: 0.02, Params: 30000}
	c.Platform = raptor.Platform{
		Name: "small", Clock: 1e8, PEs: 64, Rates: raptor.Rates{Conv: 64, Depthwise: 4, Pointwise: 64, Linear: 32},
		Memory: 64 << 10, WeightLimit: 64 << 10, ActivationCost: 4, WeightCost: 2, TileCost: 100, OversizeCost: 1e6,
		Power: 0.01, Policy: raptor.Resident, Scope: raptor.GroupScope,
	}
	results := map[string]any{}
	for _, strategy := range []Strategy{Paper, Regularized, Random, NSGA2} {
		c.Strategy = strategy
		results[string(strategy)] = mustEvolve(t, c)
	}
	pipelinetest.Golden(t, Stage, results)
}
