package raptor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"eyrie/nas/arch"
)

// randomNetwork draws a network of n layers, in blocks and groups, with adds
// of any two maps of the same shape. Every map but the last has a reader.
func randomNetwork(rng *rand.Rand, n int) arch.Network {
	side := 2 + rng.IntN(9)
	net := arch.Network{Name: "random", Input: arch.Shape{C: 1 + rng.IntN(6), H: side, W: 1 + rng.IntN(side)}}
	group, block := 1, 1
	shape := func(j int) arch.Shape {
		if j < 0 {
			return net.Input
		}
		return net.Layers[j].Out
	}
	for i := range n {
		switch rng.IntN(6) {
		case 0:
			group, block = group+1, 1
		case 1:
			block++
		}
		l := arch.Layer{Name: fmt.Sprint("l", i), Block: fmt.Sprintf("g%d.b%d", group, block), Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{i - 1}, In: shape(i - 1)}
		l.Op = []arch.Op{arch.Conv, arch.Pointwise, arch.Pointwise, arch.Depthwise, arch.Add, arch.Add, arch.Mul, arch.View, arch.View, arch.Pool, arch.Resize, arch.Elementwise}[rng.IntN(12)]
		l.Out = l.In
		// others picks a map before the last that is right for a layer, or the last again.
		others := func(right func(arch.Shape) bool) {
			at := i - 1
			for j := i - 2; j >= -1; j-- {
				if right(shape(j)) && (rng.IntN(2) == 0 || j == -1) {
					at = j
					break
				}
			}
			l.Inputs = []int{i - 1, at}
			if shape(at) != l.In {
				l.Others = []arch.Shape{shape(at)}
			} else {
				l.Inputs = []int{at, i - 1}
			}
		}
		switch l.Op {
		case arch.Add:
			others(func(s arch.Shape) bool { return s == l.In })
		case arch.Mul:
			fit := func(a, b int) bool { return a == b || a == 1 || b == 1 }
			others(func(s arch.Shape) bool { return fit(s.C, l.In.C) && fit(s.H, l.In.H) && fit(s.W, l.In.W) })
			o := l.Operand(1)
			l.Out = arch.Shape{C: max(l.In.C, o.C), H: max(l.In.H, o.H), W: max(l.In.W, o.W)}
		case arch.View:
			switch rng.IntN(3) {
			case 0: // shuffle
			case 1: // slice
				l.Out.C = 1 + rng.IntN(l.In.C)
			case 2: // concatenation
				others(func(s arch.Shape) bool { return s.H == l.In.H && s.W == l.In.W })
				l.Out.C += l.Operand(1).C
			}
		case arch.Pool:
			if rng.IntN(2) == 0 {
				l.Kernel, l.Out.H, l.Out.W = arch.Extent{H: l.In.H, W: l.In.W}, 1, 1
			}
		case arch.Resize:
			l.Out.H, l.Out.W = 1+rng.IntN(9), 1+rng.IntN(9)
		case arch.Conv, arch.Depthwise:
			k := 1 + rng.IntN(3)
			if k > min(l.In.H, l.In.W) {
				k = 1
			}
			stride := 1 + rng.IntN(2)
			l.Kernel, l.Stride, l.Pad = arch.Square(k), arch.Square(stride), arch.Around(k/2)
			l.Out.H, l.Out.W = arch.OutSize(l.In.H, k, stride, k/2), arch.OutSize(l.In.W, k, stride, k/2)
		}
		if l.Op == arch.Conv || l.Op == arch.Pointwise {
			l.Out.C = 1 + rng.IntN(6)
			if rng.IntN(2) == 0 {
				l.Out.C = l.In.C
			}
		}
		net.Layers = append(net.Layers, l)
	}
	return net
}

// randomPlatform draws a platform on which some maps of the network fit and
// some do not.
func randomPlatform(rng *rand.Rand, net *arch.Network) Platform {
	most := 0
	for i := range net.Layers {
		g := windowOf(&net.Layers[i])
		most = max(most, g.in+g.out+g.w)
	}
	p := Platform{Name: "random", Clock: 1e6, PEs: 16, Rates: Rates{4, 1 + rng.Float64(), 8, 8},
		Memory: 1 + int64(rng.IntN(2*most)), ActivationCost: rng.Float64(), WeightCost: rng.Float64(), TileCost: float64(rng.IntN(20)),
		Policy: []Policy{Layerwise, Resident, Mixed}[rng.IntN(3)], Scope: []Scope{BlockScope, GroupScope, NetworkScope}[rng.IntN(3)]}
	p.DoubleBuffer = rng.IntN(2) == 0
	p.ElementRate, p.LayerCost = rng.Float64(), rng.Float64()
	if rng.IntN(4) == 0 {
		p.WeightMemory = 1 + int64(rng.IntN(most))
	}
	if rng.IntN(4) == 0 {
		p.WeightLimit, p.OversizeCost = 1+int64(rng.IntN(100)), 1000
	}
	return p
}

// The dynamic programming is as fast as the fastest of all ways to decide, for
// every map and after every layer, whether it is in the local memory, and
// whether it was stored; each way is checked and priced on its own.
func TestResidencyEqualsExhaustiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	stays := 0
	for range 1000 {
		net := randomNetwork(rng, 1+rng.IntN(5))
		p := randomPlatform(rng, &net)
		if err := net.Validate(); err != nil {
			t.Fatal(err)
		}
		want := math.Inf(1)
		e := exhaustive{p: &p, net: &net, best: &want}
		e.pl = planner{p: &p, net: &net, closes: p.closes(&net)}
		e.pl.lifetimes()
		e.layer(0, []state{{chip: false, stored: true}}, 0)
		got, err := p.Estimate(net)
		if err != nil {
			if !math.IsInf(want, 1) {
				t.Fatalf("%+v %+v: %v, but there is a way of %v cycles", net, p, err, want)
			}
			continue
		}
		if math.Abs(got.Latency*p.Clock-want) > 1e-6*want {
			t.Fatalf("%+v\n%+v\ntakes %v cycles, the best way %v", net, p, got.Latency*p.Clock, want)
		}
		if slices.ContainsFunc(got.Layers, func(c LayerCost) bool { return c.OutResident }) {
			stays++
		}
	}
	if stays < 200 {
		t.Errorf("maps stayed in %d networks only", stays)
	}
}

// state is where a map is.
type state struct{ chip, stored bool }

// exhaustive walks all ways through a network.
type exhaustive struct {
	p    *Platform
	net  *arch.Network
	pl   planner // for lifetimes and scopes only
	best *float64
}

// layer tries every way to run layers from i on. maps holds where each map is,
// the network's input first.
func (e *exhaustive) layer(i int, maps []state, cycles float64) {
	if i == len(e.net.Layers) {
		if maps[i].stored {
			*e.best = min(*e.best, cycles)
		}
		return
	}
	l := &e.net.Layers[i]
	g := windowOf(l)
	for bits := range 1 << (len(maps) + 2) {
		// A bit per map, that of this layer included: it is in the local memory
		// after the layer; the last bit: the result is stored.
		after := slices.Clone(maps)
		after = append(after, state{chip: bits>>len(maps)&1 == 1, stored: bits>>(len(maps)+1)&1 == 1})
		for k := range maps {
			after[k].chip = bits>>k&1 == 1
		}
		if time, ok := e.run(i, l, &g, maps, after); ok {
			e.layer(i+1, after, cycles+time)
		}
	}
}

// run prices layer i between two states, if it can lead from one to the other.
func (e *exhaustive) run(i int, l *arch.Layer, g *window, before, after []state) (float64, bool) {
	r := room{memory: int(e.p.Memory), weights: int(e.p.WeightMemory), outChip: after[i+1].chip, store: after[i+1].stored}
	any := r.outChip
	for k := range after {
		needed := e.pl.last[k] > i
		if !needed && after[k].chip || needed && !after[k].chip && !after[k].stored {
			return 0, false // nobody needs it, or it is lost
		}
		if after[k].chip && (e.p.Policy == Layerwise || e.pl.scopeEnds(i)) {
			return 0, false
		}
	}
	if !r.store && !r.outChip && i+1 == len(e.net.Layers) {
		return 0, false
	}
	if !r.store && !r.outChip { // nobody reads it, but it is written
		r.store = true
	}
	for k := range before {
		reads := 0
		for _, in := range l.Inputs {
			reads += boolInt(in+1 == k)
		}
		switch {
		case reads > 0 && before[k].chip:
			for i, in := range l.Inputs {
				if in+1 == k {
					r.chip |= 1 << i
				}
			}
			any = true
		case reads > 0 && !before[k].stored:
			return 0, false
		case reads > 0:
			r.keep = r.keep || after[k].chip // loaded, and stays
		case before[k].chip:
			r.memory -= e.pl.bytes(k - 1)
			any = true
		case after[k].chip:
			return 0, false // it came from nowhere
		}
	}
	if l.Op == arch.View {
		return e.rearrange(i, l, before, after, r)
	}
	var s Schedule
	work := rest{npu: e.p.npu(l), extra: e.p.LayerCost}
	if !e.p.Supports(l) {
		work.extra += e.p.OversizeCost
	}
	if !g.fits(&r) && any && e.p.Policy != Mixed || !e.p.schedule(g, &r, work, &s) {
		return 0, false
	}
	return e.p.time(&work, &s), true
}

// rearrange prices a view: what its result has of a map moves where the map is not where
// the result goes. The local memory holds the maps that are waited for, and the result or
// the maps that it takes the place of.
func (e *exhaustive) rearrange(i int, l *arch.Layer, before, after []state, r room) (float64, bool) {
	if r.keep {
		return 0, false // a view does not load maps for others
	}
	bytes, waiting, replaced := 0, 0, 0
	counted := map[int]bool{}
	for k, j := range l.Inputs {
		s := l.Operand(k)
		part := min(s.Size(), l.Out.Size())
		if at := before[j+1]; r.outChip && !at.chip {
			bytes += part
		}
		if at := before[j+1]; r.store && !at.stored {
			bytes += part
		}
		if before[j+1].chip && !counted[j] {
			counted[j] = true
			if e.pl.last[j+1] > i {
				waiting += s.Size()
			} else {
				replaced += s.Size()
			}
		}
	}
	if waiting+max(replaced, boolInt(r.outChip)*l.Out.Size()) > r.memory {
		return 0, false
	}
	if bytes == 0 {
		return 0, true
	}
	return e.p.cycles(0, e.p.transfer(bytes, 0, 1)+e.p.LayerCost, 1), true
}

// What holds for every network and platform.
func checkProperties(t *testing.T, net arch.Network, p Platform) {
	t.Helper()
	e, err := p.Estimate(net)
	if err != nil {
		return
	}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\n%+v\n%+v", fmt.Sprintf(format, args...), net, p)
	}
	sum, peak := 0.0, 0
	for i, c := range e.Layers {
		if text := p.Explain(&net, &e, i); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			fail("layer %d: %s", i, text)
		}
		sum += c.Latency
		peak = max(peak, c.Memory+c.Held)
		if c.Weights < int(net.Layers[i].WeightBytes()) {
			fail("layer %d reads %d bytes of weights", i, c.Weights)
		}
		if p.Policy == Layerwise && c.Activations()+c.Weights < c.Bound {
			fail("layer %d moves %d bytes, less than its bound of %d", i, c.Activations()+c.Weights, c.Bound)
		}
	}
	if math.Abs(sum-e.Latency) > 1e-9*sum || math.IsNaN(sum) || e.MACs != net.MACs() {
		fail("latency %v, of layers %v", e.Latency, sum)
	}
	if peak != e.PeakMemory || int64(peak) > p.Memory+p.WeightMemory {
		fail("%d bytes are occupied of %d", peak, p.Memory)
	}
	if int64(e.Traffic) < e.FusedBound || p.Policy == Layerwise && int64(e.Traffic) < e.LayerBound {
		fail("moves %d bytes, bounds %d and %d", e.Traffic, e.LayerBound, e.FusedBound)
	}
	slower := func(q Platform, what string) {
		t.Helper()
		f, err := q.Estimate(net)
		if err != nil || f.Latency > e.Latency*(1+1e-9) {
			fail("%s: %v instead of %v s, %v", what, f.Latency, e.Latency, err)
		}
	}
	q := p
	q.Memory += 1 + p.Memory/7
	slower(q, "more memory")
	if p.WeightMemory > 0 {
		q = p
		q.WeightMemory += 1 + p.WeightMemory/7
		slower(q, "more memory for weights")
	}
	q = p
	q.ActivationCost /= 2
	slower(q, "cheaper activations")
	q = p
	q.TileCost /= 2
	slower(q, "cheaper tiles")
	if p.Policy == Layerwise {
		q = p
		q.Policy = Resident
		slower(q, "resident for layerwise")
	}
	if p.Policy == Resident {
		q = p
		q.Policy = Mixed
		slower(q, "mixed for resident")
	}
	if p.Scope == BlockScope {
		q = p
		q.Scope = GroupScope
		slower(q, "group for block")
	}
	if p.Scope == GroupScope {
		q = p
		q.Scope = NetworkScope
		slower(q, "network for group")
	}
}

// Properties hold on random networks; FuzzEstimate goes on where this ends.
func TestProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for range 3000 {
		net := randomNetwork(rng, 1+rng.IntN(8))
		p := randomPlatform(rng, &net)
		checkProperties(t, net, p)
	}
}

// More memory is never slower, byte by byte where a layer begins to fit, and in large
// steps for whole networks: also with double buffering, where tiles that overlap are
// faster than the whole layer.
func TestMonotoneInMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	for range 300 {
		l := smallLayer(rng)
		g := windowOf(&l)
		r := smallRoom(rng, &g)
		work := smallRest(rng, &g)
		p := Platform{ActivationCost: rng.Float64(), WeightCost: rng.Float64(), TileCost: rng.Float64() * float64(rng.IntN(2)), DoubleBuffer: true}
		last := math.Inf(1)
		for r.memory = range 2*(g.in+g.out+g.w) + 10 {
			var s Schedule
			if !p.schedule(&g, &r, work, &s) {
				if !math.IsInf(last, 1) {
					t.Fatalf("%+v %+v %+v: fits no more", l, p, r)
				}
				continue
			}
			now := p.time(&work, &s)
			if now > last*(1+1e-12) {
				t.Fatalf("%+v %+v %+v: %v cycles, with a byte less %v", l, p, r, now, last)
			}
			last = now
		}
	}
	for _, p := range append(variants(mixed(t)), spills(mixed(t))...) {
		last := math.Inf(1)
		for p.Memory = 16 << 10; p.Memory < 8<<20; p.Memory += p.Memory / 3 {
			e, err := p.Estimate(mobilenet(0.5, 96))
			if err != nil {
				t.Fatal(err)
			}
			if e.Latency > last*(1+1e-12) {
				t.Errorf("%s, %s, double buffer %v: %v s with %d bytes, %v s with less", p.Policy, p.Scope, p.DoubleBuffer, e.Latency, p.Memory, last)
			}
			last = e.Latency
		}
	}
}

func FuzzEstimate(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint8(5), false)
	f.Fuzz(func(t *testing.T, a, b uint64, layers uint8, double bool) {
		rng := rand.New(rand.NewPCG(a, b))
		net := randomNetwork(rng, 1+int(layers)%12)
		p := randomPlatform(rng, &net)
		p.DoubleBuffer = double
		checkProperties(t, net, p)
	})
}

// FuzzPlatform: no JSON makes a platform that is valid and makes an estimate
// panic or come out as no number.
func FuzzPlatform(f *testing.F) {
	f.Add([]byte(`{"preset":"tinyraptor","memory":65536}`))
	f.Add([]byte(`{"preset":"mcu","rates":{"conv":1e-300},"double_buffer":true}`))
	net := mobilenet(0.35, 32)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Platform
		if p.UnmarshalJSON(b) != nil || p.Validate() != nil {
			return
		}
		if e, err := p.Estimate(net); err == nil && (math.IsNaN(e.Latency) || e.Latency < 0 || math.IsNaN(e.Mu)) {
			t.Errorf("%+v: %v s, μ %v", p, e.Latency, e.Mu)
		}
	})
}

// branching returns a network of n parallel branches of one input, whose results are
// added up one after the other when all are there.
func branching(n, channels, pixels int) arch.Network {
	in := arch.Shape{H: pixels, W: pixels, C: channels}
	net := arch.Network{Name: "branches", Input: in}
	conv := func(from int) int {
		net.Layers = append(net.Layers, arch.Layer{Name: fmt.Sprint("c", len(net.Layers)), Op: arch.Conv, In: in, Out: in, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{from}})
		return len(net.Layers) - 1
	}
	root := conv(-1)
	ends := make([]int, n)
	for i := range ends {
		ends[i] = conv(root)
	}
	sum := ends[0]
	for _, e := range ends[1:] {
		net.Layers = append(net.Layers, arch.Layer{Name: fmt.Sprint("a", len(net.Layers)), Op: arch.Add, In: in, Out: in, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{sum, e}})
		sum = len(net.Layers) - 1
	}
	return net
}

// Where only some placements are followed the estimate is that of a schedule that can
// be run, so never below the least, and says so; where it does not say so it is the
// least.
func TestBoundedEstimates(t *testing.T) {
	defer func(was int) { maxPlacements = was }(maxPlacements)
	rng := rand.New(rand.NewPCG(41, 42))
	bounded, worse := 0, 0.0
	for range 3000 {
		net := randomNetwork(rng, 3+rng.IntN(6))
		if rng.IntN(4) == 0 {
			net = branching(3+rng.IntN(4), 1+rng.IntN(8), 1+rng.IntN(12))
		}
		p := randomPlatform(rng, &net)
		maxPlacements = 1 << 20
		exact, err := p.Estimate(net)
		if err != nil {
			continue
		}
		maxPlacements = 1 + rng.IntN(8)
		some, err := p.Estimate(net)
		if err != nil {
			t.Fatalf("%+v %+v: %v, though it fits", net, p, err)
		}
		if exact.Bounded {
			t.Fatalf("%+v: bounded without a bound", net)
		}
		if some.Latency < exact.Latency*(1-1e-12) || !some.Bounded && some.Latency != exact.Latency {
			t.Fatalf("%+v %+v: %v s, bounded %v; the least is %v s", net, p, some.Latency, some.Bounded, exact.Latency)
		}
		if some.Bounded {
			bounded++
			worse = max(worse, some.Latency/exact.Latency)
		}
	}
	if bounded < 200 {
		t.Errorf("only %d estimates were bounded", bounded)
	}
	t.Logf("%d bounded to at most 8 placements, at worst %.3f times the least", bounded, worse)
}

// A network of any number of branches, and of any number of operands, is estimated.
func TestManyBranches(t *testing.T) {
	p := mixed(t)
	p.Policy, p.Scope = Mixed, NetworkScope
	before := 0.0
	for _, n := range []int{2, 6, 9, 16, 40, 100} {
		net := branching(n, 16, 16)
		e, err := p.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		if e.Latency <= before || e.Bounded != (n > 6) {
			t.Errorf("%d branches take %v s, bounded %v; fewer take %v s", n, e.Latency, e.Bounded, before)
		}
		before = e.Latency
	}
}

// Wide networks are estimated in every way, also where many operands meet at once, and
// where each branch is scaled before: within 10 s of the processor, whatever else it does,
// and saying so if not all was followed.
func TestWideNetworks(t *testing.T) {
	for name, net := range map[string]arch.Network{"added": branching(32, 16, 16), "concatenated": concatenating(32, 16, 16)} {
		if err := net.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, p := range variants(mixed(t)) {
			if p.Scope == GroupScope || p.WeightMemory > 0 || p.Memory < 1<<16 || p.Policy == Resident && p.DoubleBuffer {
				continue
			}
			before := processorTime(t)
			e, err := p.Estimate(net)
			if err != nil {
				t.Fatal(err)
			}
			if d := processorTime(t) - before; d > 10*time.Second {
				t.Errorf("%s, %s, %s: took %v", name, p.Policy, p.Scope, d)
			}
			if e.Bounded != (p.Policy != Layerwise) {
				t.Errorf("%s, %s, %s: bounded %v", name, p.Policy, p.Scope, e.Bounded)
			}
		}
	}
}

// processorTime returns what this process has taken of the processors.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// concatenating returns a network of n parallel branches of one input, each scaled by its
// mean, whose results are concatenated at once.
func concatenating(n, channels, pixels int) arch.Network {
	in, one := arch.Shape{C: channels, H: pixels, W: pixels}, arch.Shape{C: channels, H: 1, W: 1}
	net := arch.Network{Name: "wide", Input: in}
	add := func(op arch.Op, in, out arch.Shape, inputs ...int) int {
		l := arch.Layer{Name: fmt.Sprint(op, len(net.Layers)), Op: op, In: in, Out: out, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: inputs}
		if op == arch.Pool {
			l.Kernel = arch.Square(in.H)
		}
		if op == arch.Mul {
			l.Others = []arch.Shape{one}
		}
		net.Layers = append(net.Layers, l)
		return len(net.Layers) - 1
	}
	root := add(arch.Conv, in, in, -1)
	var ends []int
	for range n {
		conv := add(arch.Conv, in, in, root)
		ends = append(ends, add(arch.Mul, in, in, conv, add(arch.Pool, in, one, conv)))
	}
	all := arch.Shape{C: n * channels, H: pixels, W: pixels}
	add(arch.View, in, all, ends...)
	add(arch.Pointwise, all, in, len(net.Layers)-1)
	return net
}

// BenchmarkBranches estimates networks of parallel branches: what is followed is bounded.
func BenchmarkBranches(b *testing.B) {
	for _, n := range []int{4, 8, 16, 32, 64} {
		p := mixed(b)
		p.Policy, p.Scope = Mixed, NetworkScope
		for name, net := range map[string]arch.Network{"added": branching(n, 16, 16), "concatenated": concatenating(n, 16, 16)} {
			b.Run(fmt.Sprintf("%s=%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := p.Estimate(net); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
