package grid

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
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

// small is a backbone whose whole grid can be priced network by network.
func small() arch.Backbone {
	return arch.Backbone{Input: 3, Stem: arch.Stem{Channels: 32, Kernel: 3, Stride: 2}, Head: 256, Classes: 10,
		Groups: []arch.Group{{Expansion: 1, Channels: 32, Repeats: 1, Stride: 1}, {Expansion: 6, Channels: 64, Repeats: 3, Stride: 2}, {Expansion: 4, Channels: 96, Repeats: 2, Stride: 1}}}
}

// table2 is the paper's assignment.
var table2 = arch.Widths{0.3, 0.3, 0.3, 0.3, 1.5, 1.0, 0.9, 0.6, 0.6}

// The tables give every assignment what pricing its network from scratch
// gives, and the front is that of comparing all pairs; for every policy and
// scope, at a size where maps stay and one where layers are tiled.
func TestEqualsFullEnumeration(t *testing.T) {
	for _, policy := range []raptor.Policy{raptor.Layerwise, raptor.Resident, raptor.Mixed} {
		for _, scope := range []raptor.Scope{raptor.BlockScope, raptor.GroupScope, raptor.NetworkScope} {
			for _, double := range []bool{false, true} {
				p := tinyraptor(t)
				p.Memory, p.WeightLimit = 80<<10, 40000
				p.Policy, p.Scope, p.DoubleBuffer = policy, scope, double
				t.Run(fmt.Sprint(policy, scope, double), func(t *testing.T) { compare(t, p) })
			}
		}
	}
}

func compare(t *testing.T, p raptor.Platform) {
	c := Config{Platform: p, Backbone: small(), Resolutions: []int{56}, Min: 0.5, Max: 1.5, Step: 0.5, Rule: Product,
		Window: 0.3, Reference: &Reference{"middle", arch.Widths{0.5, 1, 1, 1, 1}}, Cloud: 10}
	got, err := run(context.Background(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	s := newSpace(p, c.Backbone, c.Rounding, 56, options(0.5, 1.5, 0.5))
	ref, err := p.Estimate(c.Backbone.Scale(c.Reference.Widths, 56, c.Rounding))
	if err != nil {
		t.Fatal(err)
	}
	var all []raptor.Estimate
	peers, below, dominators := 0, 0, 0
	for i := range s.size() {
		e, err := p.Estimate(c.Backbone.Scale(s.widths(i), 56, c.Rounding))
		if err != nil || len(e.Unsupported) > 0 {
			continue
		}
		all = append(all, e)
		if math.Abs(float64(e.MACs)/float64(ref.MACs)-1) <= 0.3 {
			peers++
			if e.Mu <= ref.Mu*(1+1e-12) {
				below++
			}
		}
		if e.MACs >= ref.MACs && e.Mu > ref.Mu*(1+1e-12) {
			dominators++
		}
	}
	if len(all) != got.Feasible || len(all) < 20 {
		t.Fatalf("%d feasible, want %d", got.Feasible, len(all))
	}
	var front []raptor.Estimate
	for _, e := range all {
		if !slices.ContainsFunc(all, func(f raptor.Estimate) bool {
			return f.MACs >= e.MACs && f.Mu >= e.Mu*(1-1e-12) && (f.MACs > e.MACs || f.Mu > e.Mu*(1+1e-12))
		}) {
			front = append(front, e)
		}
	}
	slices.SortStableFunc(front, func(a, b raptor.Estimate) int { return cmp.Compare(b.MACs, a.MACs) })
	front = slices.CompactFunc(front, func(a, b raptor.Estimate) bool { return a.MACs == b.MACs })
	if len(front) != len(got.Front) {
		t.Fatalf("%d on the front, want %d", len(got.Front), len(front))
	}
	for i, e := range front {
		g := got.Front[i]
		if g.MACs != e.MACs || g.Params != e.Params || math.Abs(g.Mu/e.Mu-1) > 1e-9 || math.Abs(g.Latency/e.Latency-1) > 1e-9 {
			t.Errorf("front[%d] = %+v, want %d MACs, %d parameters, μ %v, %v s", i, g, e.MACs, e.Params, e.Mu, e.Latency)
		}
	}
	if st := got.Standing; st.Peers != peers || st.Dominators != dominators || math.Abs(st.Percentile-float64(below)/float64(peers)) > 1e-12 {
		t.Errorf("standing %+v, want %d peers, %d below, %d dominators", st, peers, below, dominators)
	}
}

// The result does not depend on the number of threads.
func TestThreads(t *testing.T) {
	c := Config{Platform: tinyraptor(t), Backbone: small(), Resolutions: []int{56, 64}, Min: 0.3, Max: 1.5, Step: 0.3, Rule: Knee, Cloud: 50,
		Reference: &Reference{"middle", arch.Widths{0.5, 1, 1, 1, 1}}, Window: 0.2}
	var want []byte
	for _, cpus := range []int{1, 2, 5} {
		out, err := run(context.Background(), pipeline.NewTask(pipeline.Env{CPUs: cpus}), c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if string(got) != string(want) {
			t.Errorf("%d threads give another result", cpus)
		}
	}
}

// A version gives what it gave.
func TestGolden(t *testing.T) {
	p := raptor.Platform{Clock: 2e8, PEs: 128, Rates: raptor.Rates{Conv: 100, Depthwise: 5, Pointwise: 100, Linear: 100}, Memory: 80 << 10, WeightLimit: 40000,
		ActivationCost: 8, WeightCost: 2, TileCost: 100, Power: 0.01, Policy: raptor.Mixed, Scope: raptor.NetworkScope}
	results := map[string]any{}
	for name, c := range map[string]Config{
		"product": {Resolutions: []int{56}, Step: 0.3, Rule: Product},
		"knee":    {Resolutions: []int{56, 64}, Step: 0.6, Rule: Knee, Cloud: 20, Reference: &Reference{"middle", arch.Widths{0.5, 1, 1, 1, 1}}, Window: 0.2},
	} {
		c.Platform, c.Backbone, c.Min, c.Max = p, small(), 0.3, 1.5
		out, err := run(context.Background(), new(pipeline.Task), c)
		if err != nil {
			t.Fatal(err)
		}
		results[name] = out
	}
	pipelinetest.Golden(t, Stage, results)
}

// On a platform that moves nothing μ means nothing; the most MACs win.
func TestWithoutTransfers(t *testing.T) {
	p, err := raptor.Preset("mcu")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []Rule{Product, Knee, MostMu, Most} {
		out, err := run(context.Background(), new(pipeline.Task), Config{Platform: p, Backbone: small(), Resolutions: []int{56}, Min: 0.5, Max: 1.5, Step: 0.5, Rule: rule,
			Reference: &Reference{"middle", arch.Widths{0.6, 1, 1, 1, 1}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(out); err != nil || len(out.Front) != 1 || out.Best.Mu != 0 {
			t.Errorf("%s: %v, %d on the front, best %+v", rule, err, len(out.Front), out.Best)
		}
	}
}

// What a limit admits is within it, and what it takes away is not.
func TestLimits(t *testing.T) {
	c := Config{Platform: tinyraptor(t), Backbone: small(), Resolutions: []int{96}, Min: 0.5, Max: 1.5, Step: 0.5, Rule: Most}
	all, err := run(context.Background(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	b := all.Best
	for name, limit := range map[string]Limit{
		"latency": {Latency: 0.9 * b.Latency}, "energy": {Energy: 0.9 * b.Energy}, "memory": {Memory: float64(b.Memory - 1)},
		"MACs": {MACs: 0.9 * float64(b.MACs)}, "parameters": {Params: 0.9 * float64(b.Params)},
	} {
		c.Limit = limit
		some, err := run(context.Background(), new(pipeline.Task), c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if some.Feasible == 0 || some.Feasible >= all.Feasible {
			t.Errorf("%s: %d of %d are within the limit", name, some.Feasible, all.Feasible)
		}
		for _, p := range some.Front {
			if l := limit; l.Latency > 0 && p.Latency > l.Latency || l.Energy > 0 && p.Energy > l.Energy || l.Memory > 0 && float64(p.Memory) > l.Memory ||
				l.MACs > 0 && float64(p.MACs) > l.MACs || l.Params > 0 && float64(p.Params) > l.Params {
				t.Errorf("%s: %+v is beyond %+v", name, p, l)
			}
		}
	}
}

// Over the platform itself and one with less memory, the ranges are those of
// the two, and the best point survives on the first at least.
func TestPlausible(t *testing.T) {
	less := tinyraptor(t)
	less.Memory -= 40 << 10
	c := Config{Platform: tinyraptor(t), Backbone: small(), Resolutions: []int{96}, Min: 0.3, Max: 1.5, Step: 0.3, Rule: Product,
		Reference: &Reference{"middle", arch.Widths{0.6, 0.9, 1, 0.9, 0.9}}, Window: 0.2}
	alone, err := run(context.Background(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	c.Platform, c.Plausible = less, []raptor.Platform{c.Platform, less}
	both, err := run(context.Background(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	p, q := alone.Standing.Percentile, both.Standing.Percentile
	if r := both.Standing.PercentileRange; len(r) != 2 || r[0] != min(p, q) || r[1] != max(p, q) || p == q {
		t.Errorf("percentiles %v and %v, range %v", p, q, r)
	}
	m, n := alone.Standing.Dominators, both.Standing.Dominators
	if r := both.Standing.DominatorsRange; r[0] != min(m, n) || r[1] != max(m, n) {
		t.Errorf("dominators %v and %v, range %v", m, n, r)
	}
	if alone.BestSurvives != nil || *both.BestSurvives < 0.5 {
		t.Errorf("the best point survives on %v", both.BestSurvives)
	}
	if n := both.Standing.Neighbours; len(n) != 2 || n[0].Point.Widths[2] != 0.9 || n[1].Point.Widths[2] != 1.2 {
		t.Errorf("neighbours %+v", n)
	}
}

// Table 2's assignment, which no fit has seen, is in the top 0.5 % by μ of all
// feasible assignments within 15 % of its MACs, and in its three deepest
// groups takes the widest multiplier that is supported.
func TestTable2(t *testing.T) {
	c := Config{Platform: tinyraptor(t), Backbone: arch.MobileNetV2(), Resolutions: []int{224}, Min: 0.3, Max: 1.5, Step: 0.3,
		Rule: Product, Window: 0.15, Reference: &Reference{"table 2", table2}}
	out, err := run(context.Background(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	st := out.Standing
	if st.Percentile < 0.995 || !st.Supported || st.Peers < 100_000 {
		t.Errorf("%+v", st)
	}
	for _, r := range out.Rows[6:] {
		if r.Widest != r.Width || r.Next == 0 {
			t.Errorf("%s: the widest that fits is %v, table 2 has %v", r.Row, r.Widest, r.Width)
		}
	}
	if above := st.Neighbours[1]; above.Dominators > 9 { // with the 1.0 that is off the grid read as 1.2
		t.Errorf("%+v", above)
	}
	for _, s := range out.Summary {
		t.Log(s)
	}
}

// A grid without a feasible point, or beyond what can be enumerated, is an
// error that says so.
func TestRefuses(t *testing.T) {
	c := Config{Platform: tinyraptor(t), Backbone: small(), Resolutions: []int{56}, Min: 0.3, Max: 1.5, Step: 0.3, Rule: Product}
	c.Limit = Limit{Latency: 1e-9}
	if _, err := run(context.Background(), new(pipeline.Task), c); err == nil {
		t.Error("an impossible latency limit was met")
	}
	c.Step = 0.01
	if err := Stage.CheckConfig(c); err == nil {
		t.Error("a grid of 120^5 assignments was accepted")
	}
}

func BenchmarkGridExact(b *testing.B) {
	p := tinyraptor(b)
	ctx := context.Background()
	for b.Loop() {
		c := Config{Platform: p, Backbone: arch.MobileNetV2(), Resolutions: []int{224}, Min: 0.3, Max: 1.5, Step: 0.3,
			Rule: Product, Window: 0.15, Reference: &Reference{"table 2", table2}, Cloud: 500}
		if _, err := run(ctx, new(pipeline.Task), c); err != nil {
			b.Fatal(err)
		}
	}
}
