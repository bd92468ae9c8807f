package raptor

import (
	"math/rand/v2"
	"slices"
	"testing"

	"eyrie/nas/arch"
)

// machine runs one layer as a schedule says: with real numbers, which it copies
// byte by byte between an outer memory and buffers of the schedule's sizes, and
// computes with from the buffers alone.
type machine struct {
	*window
	room
	s                         Schedule
	input                     [][]int8 // per operand: channel, row, column
	weights                   []int8   // output channel, input channel, row, column; depthwise without input channel
	bias                      []int32
	output                    []int8 // what was computed, in the outer memory or whole on chip
	sums                      []int32
	in, out, weight, partial  int    // bytes moved
	inTile, outTile, weightsT [3]int // tiles in the buffers: channel, row, input channel; −1 for none
}

func newMachine(g *window, r room, s Schedule, rng *rand.Rand) *machine {
	m := &machine{window: g, room: r, s: s, output: make([]int8, g.out), sums: make([]int32, g.out)}
	for range g.operands {
		m.input = append(m.input, randomBytes(rng, g.in))
	}
	m.weights = randomBytes(rng, g.perWeight*g.co*max(1, boolInt(g.kind == dense)*g.ci))
	m.bias = make([]int32, g.co)
	for i := range m.bias {
		m.bias[i] = int32(boolInt(g.bias > 0) * rng.IntN(100))
	}
	none := [3]int{-1, -1, -1}
	m.inTile, m.outTile, m.weightsT = none, none, none
	return m
}

func randomBytes(rng *rand.Rand, n int) []int8 {
	b := make([]int8, n)
	for i := range b {
		b[i] = int8(rng.IntN(256) - 128)
	}
	return b
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// run walks the loops over tiles in the schedule's order.
func (m *machine) run() {
	extent := map[byte]int{'h': ceilDiv(m.ho, m.s.Rows), 'c': ceilDiv(m.co, m.s.Channels), 'i': 1}
	if m.kind == dense {
		extent['i'] = ceilDiv(m.ci, m.s.Inputs)
	}
	order := map[Order]string{Untiled: "hci", RowsOut: "hci", ChansOut: "chi", SumIn: "hci", SumOutC: "ich", SumOutH: "ihc"}[m.s.Order]
	travel := m.s.Order == SumOutC || m.s.Order == SumOutH
	at := map[byte]int{}
	var loop func(depth int)
	loop = func(depth int) {
		if depth < len(order) {
			for at[order[depth]] = 0; at[order[depth]] < extent[order[depth]]; at[order[depth]]++ {
				loop(depth + 1)
			}
			return
		}
		m.tile(at['h'], at['c'], at['i'], extent['i'], travel)
	}
	loop(0)
}

// tile loads what is not in the buffers, computes, and stores what is done.
func (m *machine) tile(h, c, i, ni int, travel bool) {
	lines := [2]int{h * m.s.Rows, min(m.ho, (h+1)*m.s.Rows)}
	chans := [2]int{c * m.s.Channels, min(m.co, (c+1)*m.s.Channels)}
	inputs := [2]int{i * m.s.Inputs, min(m.ci, (i+1)*m.s.Inputs)}
	id := [3]int{0, h, i}
	if m.kind != dense {
		inputs, id = chans, [3]int{c, h, 0}
	}
	loaded := make([]bool, m.hi) // rows that windows of the tile touch
	for y := lines[0]; y < lines[1]; y++ {
		for dy := range m.rows.k {
			if r := y*m.rows.stride - m.rows.pad + dy; r >= 0 && r < m.hi {
				loaded[r] = true
			}
		}
	}
	for r := range loaded {
		loaded[r] = loaded[r] || m.keep // as a whole
	}
	if m.inTile != id {
		m.inTile = id
		for operand := m.chip; operand < m.operands; operand++ {
			for ch := inputs[0]; ch < inputs[1]; ch++ {
				for _, row := range loaded {
					m.in += boolInt(row) * m.wi
				}
			}
		}
	}
	if id := [3]int{c, 0, i}; m.weightsT != id && m.perWeight > 0 {
		m.weightsT = id
		for range chans[1] - chans[0] {
			if m.kind == dense {
				m.weight += m.perWeight * (inputs[1] - inputs[0])
			} else {
				m.weight += m.perWeight
			}
			if i == 0 {
				m.weight += m.bias0()
			}
		}
	}
	for ch := chans[0]; ch < chans[1]; ch++ {
		for y := lines[0]; y < lines[1]; y++ {
			for x := range m.wo {
				o := (ch*m.ho+y)*m.wo + x
				if travel && i > 0 {
					m.partial += psum
				}
				if i == 0 {
					m.sums[o] = m.bias[ch]
				}
				m.sums[o] += m.dot(ch, y, x, inputs, loaded)
				switch {
				case i < ni-1 && travel:
					m.partial += psum
				case i == ni-1:
					m.output[o] = int8(m.sums[o])
					if m.store {
						m.out++
					}
				}
			}
		}
	}
}

func (m *machine) bias0() int { return m.window.bias }

// dot multiplies the window at one output position by the weights, over some of
// the input channels, with the rows of the input that are loaded; nil is all.
func (m *machine) dot(ch, y, x int, inputs [2]int, loaded []bool) (sum int32) {
	switch m.kind {
	case pairing:
		o := (ch*m.ho+y)*m.wo + x
		return int32(m.input[0][o]) + int32(m.input[1][o])
	case planar:
		inputs = [2]int{ch, ch + 1}
	}
	for in := inputs[0]; in < inputs[1]; in++ {
		for dy := range m.rows.k {
			for dx := range m.cols.k {
				r, c := y*m.rows.stride-m.rows.pad+dy, x*m.cols.stride-m.cols.pad+dx
				if r < 0 || r >= m.hi || c < 0 || c >= m.wi {
					continue
				}
				if loaded != nil && !loaded[r] {
					panic("a row that is not in the buffer is needed")
				}
				w := int32(1)
				switch {
				case m.kind == dense:
					w = int32(m.weights[((ch*m.ci+in)*m.rows.k+dy)*m.cols.k+dx])
				case m.perWeight > 0:
					w = int32(m.weights[(ch*m.rows.k+dy)*m.cols.k+dx])
				}
				sum += w * int32(m.input[0][(in*m.hi+r)*m.wi+c])
			}
		}
	}
	return sum
}

// reference computes the layer at once.
func (m *machine) reference() []int8 {
	out := make([]int8, m.window.out)
	for ch := range m.co {
		for y := range m.ho {
			for x := range m.wo {
				out[(ch*m.ho+y)*m.wo+x] = int8(m.bias[ch] + m.dot(ch, y, x, [2]int{0, m.ci}, nil))
			}
		}
	}
	return out
}

// smallLayer draws a layer of a few elements.
func smallLayer(rng *rand.Rand) arch.Layer {
	op := []arch.Op{arch.Conv, arch.Pointwise, arch.Depthwise, arch.Linear, arch.Pool, arch.Add}[rng.IntN(6)]
	l := arch.Layer{Name: string(op), Op: op, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{-1},
		In: arch.Shape{C: 1 + rng.IntN(6), H: 1 + rng.IntN(7), W: 1 + rng.IntN(7)}}
	out := 1 + rng.IntN(6)
	switch op {
	case arch.Conv, arch.Depthwise, arch.Pool:
		l.Kernel = arch.Extent{H: 1 + rng.IntN(min(4, l.In.H)), W: 1 + rng.IntN(min(4, l.In.W))}
		l.Stride = arch.Extent{H: 1 + rng.IntN(3), W: 1 + rng.IntN(3)}
		rows, columns := rng.IntN((l.Kernel.H+1)/2), rng.IntN((l.Kernel.W+1)/2)
		l.Pad = arch.Padding{Top: rows, Left: columns, Bottom: rows, Right: columns}
	case arch.Linear:
		l.Out = arch.Shape{C: out, H: 1, W: 1}
		return l
	case arch.Add:
		l.Inputs = []int{-1, -1}
	}
	if op != arch.Conv && op != arch.Pointwise {
		out = l.In.C
	}
	l.Out = arch.Shape{C: out, H: arch.OutSize(l.In.H, l.Kernel.H, l.Stride.H, l.Pad.Top), W: arch.OutSize(l.In.W, l.Kernel.W, l.Stride.W, l.Pad.Left)}
	return l
}

// smallRoom draws a room in which the window may or may not fit.
func smallRoom(rng *rand.Rand, g *window) room {
	whole := g.operands*g.in + g.out + g.w
	r := room{memory: rng.IntN(whole + whole/4 + 2), chip: rng.IntN(g.operands + 1), outChip: rng.IntN(3) == 0, store: true}
	if r.outChip {
		r.store = rng.IntN(2) == 0
	}
	if rng.IntN(4) == 0 {
		r.weights = 1 + rng.IntN(g.w+2)
	}
	return r
}

// A layer run with real numbers, tile by tile from buffers of the schedule's
// sizes, gives what computing it at once gives, and moves exactly the bytes
// that the schedule says.
func TestSimulation(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	orders := map[Order]int{}
	for range 60_000 {
		l := smallLayer(rng)
		g := newWindow(&l)
		r := smallRoom(rng, &g)
		p := Platform{ActivationCost: rng.Float64(), WeightCost: 3 * rng.Float64() * float64(rng.IntN(2)), TileCost: rng.Float64(), DoubleBuffer: rng.IntN(2) == 0}
		var s Schedule
		if !p.schedule(&g, &r, smallRest(rng, &g), &s) {
			continue
		}
		orders[s.Order]++
		m := newMachine(&g, r, s, rng)
		m.run()
		if !slices.Equal(m.output, m.reference()) {
			t.Fatalf("%+v %+v: wrong result of %+v", l, r, s)
		}
		if m.in != s.In || m.out != s.Out || m.weight != s.Weights || m.partial != s.Partial {
			t.Fatalf("%+v %+v %+v: moved %d in, %d out, %d weights, %d partial", l, r, s, m.in, m.out, m.weight, m.partial)
		}
		if n := s.capacity(&g, &r, &p); n != s.Memory {
			t.Fatalf("%+v %+v %+v: its buffers take %d bytes", l, r, s, n)
		}
	}
	for _, o := range []Order{Untiled, RowsOut, ChansOut, SumIn, SumOutC, SumOutH} {
		if orders[o] < 5 {
			t.Errorf("order %q was tested %d times", o, orders[o])
		}
	}
}

// capacity adds up the buffers that a schedule needs: of maps that are not in
// the local memory, the largest tile, and of the weights.
func (s *Schedule) capacity(g *window, r *room, p *Platform) int {
	if s.Order == Untiled {
		return g.operands*g.in + g.out + g.w
	}
	buffers := 1
	if p.DoubleBuffer {
		buffers = 2
	}
	n := r.chip * g.in
	if r.outChip {
		n += g.out
	} else {
		n += buffers * s.Rows * g.wo * s.Channels
	}
	n += buffers * (g.operands - r.chip) * g.tileRows(s.Rows) * g.wi * s.Inputs
	switch {
	case s.Order == SumIn:
		n += psum * s.Rows * g.wo * s.Channels
	case g.kind == dense && s.Inputs < g.ci: // sums travel, while others are computed
		n += buffers * psum * s.Rows * g.wo * s.Channels
	}
	return n + s.filters(g, p)
}

// filters adds up the buffers for weights: one unless they change from tile to tile.
func (s *Schedule) filters(g *window, p *Platform) int {
	buffers, n := 1, s.Channels*(g.perWeight+g.bias)
	if p.DoubleBuffer && (s.Channels < g.co || g.kind == dense && s.Inputs < g.ci) {
		buffers = 2
	}
	if g.kind == dense {
		n = s.Channels * (g.perWeight*s.Inputs + g.bias)
	}
	return buffers * n
}

// smallRest draws what a layer computes: less than it moves, more, or nothing.
func smallRest(rng *rand.Rand, g *window) rest {
	return rest{npu: float64(rng.IntN(3)) * rng.Float64() * float64(g.operands*g.in+g.out+g.w), extra: float64(rng.IntN(2) * rng.IntN(50))}
}

// No tile and no order, of all that there are, is faster than the schedule, and where
// it finds none, none fits. Each is priced by counting what the machine moves. With
// one buffer a layer that fits is never cut.
func TestScheduleEqualsExhaustiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	cut, whole := 0, 0
	for range 3000 {
		l := smallLayer(rng)
		g := newWindow(&l)
		r := smallRoom(rng, &g)
		p := Platform{ActivationCost: rng.Float64(), WeightCost: 3 * rng.Float64() * float64(rng.IntN(3)), TileCost: 3 * rng.Float64() * float64(rng.IntN(3)), DoubleBuffer: rng.IntN(3) > 0}
		work := smallRest(rng, &g)
		var got Schedule
		ok := p.schedule(&g, &r, work, &got)
		best, least, found := Schedule{}, 0.0, false
		for _, s := range allSchedules(&g) {
			s.Memory = s.capacity(&g, &r, &p)
			weights := s.filters(&g, &p)
			if r.weights == 0 && s.Memory > r.memory || r.weights > 0 && (s.Memory-weights > r.memory || weights > r.weights) {
				continue
			}
			m := newMachine(&g, r, s, rng)
			m.run()
			s.In, s.Out, s.Weights, s.Partial = m.in, m.out, m.weight, m.partial
			if cost := p.time(&work, &s); !found || cost < least {
				best, least, found = s, cost, true
			}
		}
		if ok != found || ok && p.time(&work, &got) > least+1e-9 {
			t.Fatalf("%+v %+v %+v %+v:\nschedule    %v %+v\nexhaustive  %v %+v", l, r, p, work, ok, got, found, best)
		}
		if ok && p.DoubleBuffer && g.fits(&r) {
			if got.Order == Untiled {
				whole++
			} else {
				cut++
			}
		}
	}
	if cut < 100 || whole < 100 {
		t.Errorf("of layers that fit %d were cut, %d were not", cut, whole)
	}
}

// allSchedules lists every tile in every order.
func allSchedules(g *window) []Schedule {
	all := []Schedule{{Rows: g.ho, Channels: g.co, Inputs: g.ci, Order: Untiled, Tiles: 1}}
	for th := 1; th <= g.ho; th++ {
		for tc := 1; tc <= g.co; tc++ {
			tiles := ceilDiv(g.ho, th) * ceilDiv(g.co, tc)
			if g.kind != dense {
				all = append(all, Schedule{Rows: th, Channels: tc, Inputs: tc, Order: ChansOut, Tiles: tiles})
				continue
			}
			for ci := 1; ci < g.ci; ci++ {
				for _, o := range []Order{SumIn, SumOutC, SumOutH} {
					all = append(all, Schedule{Rows: th, Channels: tc, Inputs: ci, Order: o, Tiles: tiles * ceilDiv(g.ci, ci)})
				}
			}
			all = append(all, Schedule{Rows: th, Channels: tc, Inputs: g.ci, Order: RowsOut, Tiles: tiles},
				Schedule{Rows: th, Channels: tc, Inputs: g.ci, Order: ChansOut, Tiles: tiles})
		}
	}
	return all
}
