package raptor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"eyrie/nas/arch"
)

// spilling draws a platform with policy spill, on which some layers of the network fit and some
// do not, and with every other term at random.
func spilling(rng *rand.Rand, net *arch.Network) Platform {
	p := randomPlatform(rng, net)
	some := func(v float64) float64 { return v * float64(rng.IntN(2)) }
	p.Policy, p.DoubleBuffer = Spill, false
	p.SpillCost, p.LayerCost, p.TileCost = some(5*rng.Float64()), some(50*rng.Float64()), some(20*rng.Float64())
	p.OutputCost, p.OutputRate, p.ElementRate = some(rng.Float64()), some(0.1+rng.Float64()), some(0.1+rng.Float64())
	p.Overlap = min(1, some(1.5*rng.Float64()))
	p.Rereads = rng.IntN(3) == 0
	p.Free = Free{Add: rng.IntN(3) == 0, Pool: rng.IntN(3) == 0, LinearWeights: rng.IntN(2) == 0}
	if rng.IntN(2) == 0 {
		p.Array = Array{Channels: rng.IntN(5), Rows: rng.IntN(4), Columns: rng.IntN(4)}
	}
	return p
}

// one returns the network of a single layer.
func one(l arch.Layer) arch.Network {
	inputs := make([]int, len(l.Inputs))
	for i := range inputs {
		inputs[i] = -1
	}
	l.Inputs = inputs
	return arch.Network{Name: "one", Input: l.In, Layers: []arch.Layer{l}}
}

// counted is what a layer gives to compute and to move, counted element by element.
type counted struct {
	macs, results, values, maps, weights, spilled float64
}

// blocks counts n rounded up to whole blocks, one element at a time.
func blocks(n, block int) (whole int) {
	for i := 0; i < n; i += max(1, block) {
		for range max(1, block) {
			whole++
		}
	}
	return whole
}

// count walks over the elements of a layer of an operation that an array's blocks are known of.
func count(p *Platform, l *arch.Layer) (c counted) {
	each := func(s arch.Shape, f func()) {
		for range s.C {
			for range s.H {
				for range s.W {
					f()
				}
			}
		}
	}
	for i := range l.Inputs {
		each(l.Operand(i), func() { c.maps++ })
	}
	each(l.Out, func() { c.maps++ })
	groups, in, taps := max(1, l.Groups), l.In.C, 0
	for range l.Kernel.H {
		for range l.Kernel.W {
			taps++
		}
	}
	switch l.Op {
	case arch.Add:
		c.values = c.maps
		return c
	case arch.Pool:
		each(l.Out, func() { c.values += float64(taps + 1) })
		return c
	case arch.Depthwise:
		in = groups // each result reads one channel
	case arch.Linear:
		in, taps = l.In.Size(), 1
	}
	if !p.streamed(l.Op) {
		for range l.Out.C {
			c.weights += float64(taps*in/groups) + 4
		}
	}
	rows, columns := blocks(l.Out.H, p.Array.Rows), blocks(l.Out.W, p.Array.Columns)
	if l.Out.H*l.Out.W == 1 { // the array's rows and columns have other work
		rows, columns = 1, 1
	}
	channels := in / groups
	if l.Op != arch.Depthwise {
		channels = blocks(channels, p.Array.Channels)
	}
	for range groups {
		for range blocks(l.Out.C/groups, p.Array.Channels) {
			for range rows {
				for range columns {
					c.results++
					c.macs += float64(taps * channels)
				}
			}
		}
	}
	return c
}

// spill fills the local memory byte by byte, with weights first: what finds no room is spilled.
func (c *counted) spill(p *Platform) {
	room := p.Memory
	if p.WeightMemory == 0 {
		for range int(c.weights) {
			room--
		}
	}
	for range int(c.maps) {
		if room > 0 {
			room--
		} else {
			c.spilled++
		}
	}
}

// Every term of a layer is its formula, of quantities counted one by one: the bytes that find
// no room beside the rest, the MACs and results of whole blocks of the array, the values of
// layers without MACs; sums in cycles, of which the longest hides a part of the others.
func TestTermsCountedOneByOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	spilled, hid, limited := 0, 0, 0
	for range 20_000 {
		l := smallLayer(rng)
		switch l.Op {
		case arch.Conv, arch.Pointwise, arch.Depthwise, arch.Linear, arch.Add:
		case arch.Pool:
			if l.Kernel.H > l.In.H || l.Kernel.W > l.In.W {
				continue // counts what there is
			}
		default:
			continue
		}
		net := one(l)
		p := spilling(rng, &net)
		p.Rereads, p.TileCost = false, 0 // their bytes are the schedules', see TestSimulation
		e, err := p.Estimate(net)
		if err != nil {
			continue
		}
		got := e.Layers[0]
		if p.free(l.Op) {
			if got.NPUCycles != 0 || got.SYSCycles > p.OversizeCost || got.Spilled != 0 {
				t.Fatalf("%+v %+v: it is free, and takes %+v", l, p, got)
			}
			continue
		}
		c := count(&p, &l)
		c.spill(&p)
		npu := 0.0
		if c.values > 0 && p.ElementRate > 0 {
			npu = c.values / p.ElementRate
		}
		if c.macs > 0 {
			npu = c.macs/p.rate(l.Op) + p.OutputCost*c.results
			if p.OutputRate > 0 && c.results/p.OutputRate > npu {
				npu = c.results / p.OutputRate
				limited++
			}
		}
		activations, outside := p.ActivationCost*c.maps, p.WeightCost*c.weights+p.SpillCost*c.spilled
		fixed := p.LayerCost
		if !p.Supports(&l) {
			fixed += p.OversizeCost
		}
		longest := max(npu, activations, outside)
		cycles := fixed + longest + (1-p.Overlap)*(npu+activations+outside-longest)
		near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(1+math.Abs(b)) }
		if got.Spilled != int(c.spilled) || got.Charged != int(c.maps+c.weights) {
			t.Fatalf("%+v %+v: %d bytes spilled of %d, want %v of %v", l, p, got.Spilled, got.Charged, c.spilled, c.maps+c.weights)
		}
		if !near(got.NPUCycles, npu) || !near(got.SYSCycles, activations+outside+fixed) || !near(got.Latency*p.Clock, cycles) {
			t.Fatalf("%+v %+v:\n%v NPU, %v SYS, %v cycles\nwant %v, %v, %v", l, p, got.NPUCycles, got.SYSCycles, got.Latency*p.Clock, npu, activations+outside+fixed, cycles)
		}
		if c.spilled > 0 {
			spilled++
		}
		if p.Overlap > 0 {
			hid++
		}
	}
	if min(spilled, hid, limited) < 500 {
		t.Errorf("%d layers spilled, %d hid something, %d were limited by results", spilled, hid, limited)
	}
}

// Where tiles cost something, or what they read again does, no tile and no order is charged
// less than the schedule.
func TestSpillScheduleEqualsExhaustiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(67, 68))
	tiled := 0
	for range 250 {
		l := smallLayer(rng)
		net := one(l)
		p := spilling(rng, &net)
		p.TileCost = rng.Float64() * float64(rng.IntN(20))
		var g window
		p.window(&l, &g)
		r, work := room{memory: int(p.Memory), weights: int(p.WeightMemory), store: true}, rest{npu: p.npu(&l)}
		charge := func(s *Schedule) float64 {
			m := p.charged(&g, s)
			return work.npu + p.sys(m) - p.hidden(work.npu, m)
		}
		var got Schedule
		ok := p.schedule(&g, &r, work, &got)
		least, found := math.Inf(1), false
		for _, s := range allSchedules(&g) {
			s.Memory = s.capacity(&g, &r, &p)
			weights := s.filters(&g, &p)
			if s.Order == Untiled {
				weights = g.w
			}
			if r.weights == 0 && s.Memory > r.memory || r.weights > 0 && (s.Memory-weights > r.memory || weights > r.weights) {
				continue
			}
			m := newMachine(&l, &g, r, s, rng)
			m.run()
			s.In, s.Out, s.Weights, s.Partial = m.in, m.out, m.weight, m.partial
			least, found = min(least, charge(&s)), true
		}
		if ok != found || ok && charge(&got) > least*(1+1e-8) {
			t.Fatalf("%+v %+v: charged %v, the least is %v: %+v", l, p, charge(&got), least, got)
		}
		if got.Tiles > 1 {
			tiled++
		}
	}
	if tiled < 25 {
		t.Errorf("%d layers were cut", tiled)
	}
}

// checkTerms has what holds for every network on every platform with policy spill: costs add up
// layer by layer, also in parts, and no better hardware is slower.
func checkTerms(t *testing.T, net arch.Network, p Platform) {
	t.Helper()
	e, err := p.Estimate(net)
	if err != nil {
		return
	}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\n%+v\n%+v", fmt.Sprintf(format, args...), net, p)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }
	for i := range net.Layers {
		alone, err := p.Estimate(one(net.Layers[i]))
		if err != nil || !near(alone.Latency, e.Layers[i].Latency) || !near(alone.SYSCycles, e.Layers[i].SYSCycles) {
			fail("layer %d takes %v s by itself, %v in its network, %v", i, alone.Latency, e.Layers[i].Latency, err)
		}
		if c := e.Layers[i]; c.Spilled > c.Charged && !p.Rereads || c.InResident && len(net.Layers[i].Inputs) > 0 || c.OutResident {
			fail("layer %d: %+v", i, c)
		}
	}
	for cut := 1; cut < len(net.Layers); cut++ {
		if passed(&net, cut) {
			continue
		}
		a, errA := p.Part(net, 0, cut)
		b, errB := p.Part(net, cut, len(net.Layers))
		sum := a.Ways[Stored][Stored].Cycles + b.Ways[Stored][Stored].Cycles + p.OversizeCost*float64(a.Oversize+b.Oversize)
		alt := a.Ways[Stored][Stored].Cycles + b.Ways[Stored][Stored].Cycles
		if errA != nil || errB != nil || !near(sum, e.Latency*p.Clock) && !near(alt, e.Latency*p.Clock) {
			fail("parts at %d take %v or %v cycles, the network %v; %v, %v", cut, sum, alt, e.Latency*p.Clock, errA, errB)
		}
	}
	for what, change := range better {
		q := p
		change(&q)
		f, err := q.Estimate(net)
		if err != nil || f.Latency > e.Latency*(1+1e-9) {
			fail("%s: %v instead of %v s, %v", what, f.Latency, e.Latency, err)
		}
	}
	q := p
	q.Array.Channels, q.Array.Rows, q.Array.Columns = 2*max(1, p.Array.Channels), 2*max(1, p.Array.Rows), 2*max(1, p.Array.Columns)
	if f, err := q.Estimate(net); err != nil || f.Latency < e.Latency*(1-1e-9) {
		fail("blocks of twice the size: %v instead of %v s, %v", f.Latency, e.Latency, err)
	}
}

// passed reports whether a map from before the layer at cut is read after it.
func passed(net *arch.Network, cut int) bool {
	for i := cut; i < len(net.Layers); i++ {
		for _, in := range net.Layers[i].Inputs {
			if in < cut-1 {
				return true
			}
		}
	}
	return false
}

// better are changes after which no network is slower.
var better = map[string]func(*Platform){
	"a byte more memory":      func(p *Platform) { p.Memory++ },
	"more memory":             func(p *Platform) { p.Memory += 1 + p.Memory/7 },
	"much more memory":        func(p *Platform) { p.Memory *= 10 },
	"a faster array":          func(p *Platform) { p.Rates.Conv, p.Rates.Pointwise = 2*p.Rates.Conv, 2*p.Rates.Pointwise },
	"faster depthwise layers": func(p *Platform) { p.Rates.Depthwise *= 1.5 },
	"faster linear layers":    func(p *Platform) { p.Rates.Linear *= 1.5 },
	"cheaper results":         func(p *Platform) { p.OutputCost /= 2 },
	"more results a cycle":    func(p *Platform) { p.OutputRate *= 2 },
	"no limit of results":     func(p *Platform) { p.OutputRate = 0 },
	"more values a cycle":     func(p *Platform) { p.ElementRate *= 2 },
	"cheaper activations":     func(p *Platform) { p.ActivationCost /= 2 },
	"cheaper weights":         func(p *Platform) { p.WeightCost /= 2 },
	"cheaper spilling":        func(p *Platform) { p.SpillCost /= 2 },
	"cheaper tiles":           func(p *Platform) { p.TileCost /= 2 },
	"cheaper layers":          func(p *Platform) { p.LayerCost /= 2 },
	"more overlap":            func(p *Platform) { p.Overlap += (1 - p.Overlap) / 2 },
	"all overlap":             func(p *Platform) { p.Overlap = 1 },
	"no blocks":               func(p *Platform) { p.Array = Array{} },
	"sums for nothing":        func(p *Platform) { p.Free.Add = true },
	"pools for nothing":       func(p *Platform) { p.Free.Pool = true },
	"streamed weights":        func(p *Platform) { p.Free.LinearWeights = true },
	"a higher weight limit":   func(p *Platform) { p.WeightLimit *= 2 },
}

func TestTermsProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(63, 64))
	for range 1000 {
		net := randomNetwork(rng, 1+rng.IntN(8))
		checkTerms(t, net, spilling(rng, &net))
	}
}

// FuzzTerms goes on where TestTermsProperties ends.
func FuzzTerms(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint8(5))
	f.Fuzz(func(t *testing.T, a, b uint64, layers uint8) {
		rng := rand.New(rand.NewPCG(a, b))
		net := randomNetwork(rng, 1+int(layers)%12)
		checkTerms(t, net, spilling(rng, &net))
	})
}

// The loads of the layers, times the prices, are the estimate.
func TestLoads(t *testing.T) {
	rng := rand.New(rand.NewPCG(65, 66))
	for range 1000 {
		net := randomNetwork(rng, 1+rng.IntN(8))
		p := spilling(rng, &net)
		if rng.IntN(3) == 0 {
			p = randomPlatform(rng, &net)
		}
		e, err := p.Estimate(net)
		loads, again := p.Loads(&net)
		if (err == nil) != (again == nil) {
			t.Fatalf("%+v: %v, but %v", p, err, again)
		}
		for i, l := range loads {
			c := e.Layers[i]
			sys := p.ActivationCost*l.Activations + p.WeightCost*l.Weights + p.SpillCost*l.Spilled + p.TileCost*l.Tiles + p.LayerCost
			if !c.Supported {
				sys += p.OversizeCost
			}
			if math.Abs(sys-c.SYSCycles) > 1e-9*(1+sys) && !l.Free || l.Free && c.Latency > 0 {
				t.Fatalf("%+v %+v, layer %d: %v SYS cycles, want %v", net, p, i, sys, c.SYSCycles)
			}
		}
	}
}

// What a platform cannot have together, or at all, is refused at its own attribute.
func TestValidateTerms(t *testing.T) {
	for _, test := range []struct {
		set  func(*Platform)
		want string
	}{
		{func(p *Platform) { p.Overlap = 1.5 }, "overlap: 1.5: want from 0"},
		{func(p *Platform) { p.Overlap = -0.1 }, "overlap: -0.1 is not a quantity"},
		{func(p *Platform) { p.Overlap = math.NaN() }, "overlap: NaN is not a quantity"},
		{func(p *Platform) { p.Policy, p.SpillCost, p.Overlap = Mixed, 0, 0.5 }, `overlap: belongs to policy "spill", not to "mixed"`},
		{func(p *Platform) { p.Policy = Layerwise }, `spill_cost: belongs to policy "spill", not to "layerwise"`},
		{func(p *Platform) { p.Policy, p.SpillCost, p.Rereads = Resident, 0, true }, `rereads: belongs to policy "spill", not to "resident"`},
		{func(p *Platform) { p.DoubleBuffer = true }, `double_buffer: with policy "spill"`},
		{func(p *Platform) { p.Array.Channels = -1 }, "array.channels: -1 is not a quantity"},
		{func(p *Platform) { p.Array.Rows = -2 }, "array.rows: -2 is not a quantity"},
		{func(p *Platform) { p.Array.Columns = -3 }, "array.columns: -3 is not a quantity"},
		{func(p *Platform) { p.OutputCost = -1 }, "output_cost: -1 is not a quantity"},
		{func(p *Platform) { p.OutputRate = math.Inf(1) }, "output_rate: +Inf is not a quantity"},
		{func(p *Platform) { p.ElementRate = -1 }, "element_rate: -1 is not a quantity"},
		{func(p *Platform) { p.SpillCost = -1 }, "spill_cost: -1 is not a quantity"},
		{func(p *Platform) { p.LayerCost = -1 }, "layer_cost: -1 is not a quantity"},
		{func(p *Platform) { p.Policy = "spills" }, `policy: "spills" is not one of`},
		{func(p *Platform) { p.Overlap, p.Rereads, p.Array = 1, true, Array{8, 1, 2} }, ""},
		{func(p *Platform) { p.SpillCost, p.Policy, p.DoubleBuffer = 0, Mixed, true }, ""},
	} {
		p := tinyraptor(t)
		test.set(&p)
		err := p.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
