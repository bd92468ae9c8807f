package raptor

import (
	"math/rand/v2"
	"slices"
	"testing"

	"eyrie/nas/arch"
)

// machine runs one layer as a schedule says: with real numbers, which it copies
// byte by byte between an outer memory and buffers of the schedule's sizes, and
// computes with from the buffers alone. What a layer computes from what is written here
// for each operation, apart from the tiler.
type machine struct {
	*window
	room
	l                        *arch.Layer
	s                        Schedule
	input                    [][]int8
	weights                  []int8 // output channel, input channel of its group, row, column
	bias                     []int32
	output                   []int8 // what was computed, in the outer memory or whole on chip
	sums                     []int32
	in, out, weight, partial int        // bytes moved
	loaded                   []elements // per operand, what its buffers hold
	keys                     [3][4]int  // tiles in the buffers: of both operands and the weights
	most                     [2]int     // bytes that the largest tile of an operand has
}

// elements are those of a map, by channel, row and column; column −1 is a whole row.
type elements map[[3]int]bool

func newMachine(l *arch.Layer, g *window, r room, s Schedule, rng *rand.Rand) *machine {
	m := &machine{window: g, room: r, l: l, s: s, output: make([]int8, g.out), sums: make([]int32, g.out), loaded: make([]elements, 2)}
	for k := range g.read {
		m.input = append(m.input, randomBytes(rng, l.Operand(k).Size()))
	}
	m.weights = randomBytes(rng, int(l.Weights()))
	m.bias = make([]int32, l.Out.C)
	for i := range m.bias {
		m.bias[i] = int32(boolInt(g.bias > 0) * rng.IntN(100))
	}
	for i := range m.keys {
		m.keys[i] = [4]int{-1, -1, -1, -1}
	}
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

// severals reports whether tiles are of whole groups.
func (m *machine) severals() bool { return m.pairs() || m.s.Channels > m.co }

// run walks the loops over tiles in the schedule's order.
func (m *machine) run() {
	groups, chans, inputs := m.groups, ceilDiv(m.co, m.s.Channels), 0
	if m.severals() {
		groups, chans, inputs = 1, ceilDiv(m.groups*m.co, m.s.Channels), 1
	} else {
		inputs = ceilDiv(m.ci, m.s.Inputs)
	}
	extent := map[byte]int{'g': groups, 'h': ceilDiv(m.ho, m.s.Rows), 'c': chans, 'i': inputs}
	order := "g" + map[Order]string{Untiled: "hci", RowsOut: "hci", ChansOut: "chi", SumIn: "hci", SumOutC: "ich", SumOutH: "ihc"}[m.s.Order]
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
		m.tile(at['g'], at['h'], at['c'], at['i'], extent['i'], travel)
	}
	loop(0)
}

// tile loads what is not in the buffers, computes, and stores what is done.
func (m *machine) tile(g, h, c, i, ni int, travel bool) {
	rows := [2]int{h * m.s.Rows, min(m.ho, (h+1)*m.s.Rows)}
	chans := [2]int{g*m.co + c*m.s.Channels, g*m.co + min(m.co, (c+1)*m.s.Channels)}
	inputs := [2]int{i * m.s.Inputs, min(m.ci, (i+1)*m.s.Inputs)}
	if m.severals() {
		chans, inputs = [2]int{c * m.s.Channels, min(m.groups*m.co, (c+1)*m.s.Channels)}, [2]int{0, m.ci}
	}
	for k := range m.read {
		key := [4]int{g, h, i, c * boolInt(m.severals())}
		switch s := m.l.Operand(k); {
		case m.pairs():
			key = [4]int{0, h * boolInt(s.H == m.l.Out.H), 0, c * boolInt(s.C == m.l.Out.C)}
		case m.mapped && m.operands[1].index == k:
			key = [4]int{g, 0, i, c}
		}
		if m.chip>>k&1 == 0 && m.keys[k] != key {
			m.keys[k] = key
			m.load(k, rows, chans, inputs)
		}
	}
	if key := [4]int{g, 0, i, c}; m.keys[2] != key && m.l.Weights() > 0 {
		m.keys[2] = key
		m.weight += (chans[1] - chans[0]) * (m.perWeight*(inputs[1]-inputs[0]) + m.window.bias*boolInt(i == 0))
	}
	for ch := chans[0]; ch < chans[1]; ch++ {
		for y := rows[0]; y < rows[1]; y++ {
			for x := range m.wo {
				o := (ch*m.ho+y)*m.wo + x
				if travel && i > 0 {
					m.partial += psum
				}
				if i == 0 {
					m.sums[o] = m.start(ch)
				}
				m.sums[o] += m.dot(ch, y, x, inputs, m.take)
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

// start is what a sum of an output channel starts from.
func (m *machine) start(ch int) int32 {
	if m.l.Weights() == 0 {
		return 0
	}
	return m.bias[ch]
}

// load fills the buffers of an operand with all that the tile computes with: rows as a
// whole, but single elements of what has none.
func (m *machine) load(k int, rows, chans, inputs [2]int) {
	single := m.l.Op == arch.Linear || m.l.Op == arch.MatMul
	need := elements{}
	for ch := chans[0]; ch < chans[1]; ch++ {
		for y := rows[0]; y < rows[1]; y++ {
			for x := range m.wo {
				m.dot(ch, y, x, inputs, func(operand, ch, row, col int) int32 {
					if operand == k {
						need[[3]int{ch, row, col*boolInt(single) - boolInt(!single)}] = true
					}
					return 0
				})
			}
		}
	}
	m.loaded[k] = need
	bytes := len(need)
	if !single {
		bytes *= m.l.Operand(k).W
	}
	m.in += bytes
	m.most[k] = max(m.most[k], bytes)
}

// take returns an element of an operand, which must be in its buffers.
func (m *machine) take(k, ch, row, col int) int32 {
	if m.chip>>k&1 == 0 && !m.loaded[k][[3]int{ch, row, col}] && !m.loaded[k][[3]int{ch, row, -1}] {
		panic("an element that is not in the buffers is needed")
	}
	return m.element(k, ch, row, col)
}

// element returns an element of an operand.
func (m *machine) element(k, ch, row, col int) int32 {
	s := m.l.Operand(k)
	return int32(m.input[k][(ch*s.H+row)*s.W+col])
}

// dot computes one element of the result from some of the input channels of its group.
// Elements of a product's result are named by the tiler's rows and channels.
func (m *machine) dot(ch, y, x int, inputs [2]int, take func(k, ch, row, col int) int32) (sum int32) {
	l := m.l
	for in := inputs[0]; in < inputs[1]; in++ {
		switch group := ch / m.co; l.Op {
		case arch.Add:
			return m.broadcast(0, ch, y, x, take) + m.broadcast(1, ch, y, x, take)
		case arch.Mul:
			return m.broadcast(0, ch, y, x, take) * m.broadcast(1, ch, y, x, take)
		case arch.Linear:
			sum += int32(m.weights[ch*l.In.Size()+in]) * take(0, in/(l.In.H*l.In.W), in/l.In.W%l.In.H, in%l.In.W)
		case arch.MatMul:
			sum += m.product(ch, y, in, take)
		case arch.Elementwise:
			if l.Out.C == l.In.C {
				in = ch
			}
			for _, r := range all(y, l.Out.H, l.In.H) {
				for _, c := range all(x, l.Out.W, l.In.W) {
					sum += take(0, in, r, c)
				}
			}
			if l.Out.C == l.In.C {
				return sum
			}
		case arch.Resize:
			for r := y * l.In.H / l.Out.H; r < ceilDiv((y+1)*l.In.H, l.Out.H); r++ {
				for c := x * l.In.W / l.Out.W; c < ceilDiv((x+1)*l.In.W, l.Out.W); c++ {
					sum += take(0, ch, r, c)
				}
			}
		default:
			for dy := range l.Kernel.H {
				for dx := range l.Kernel.W {
					r, c, ok := m.position(y, x, dy, dx)
					if !ok {
						if r >= 0 && r < l.In.H { // the row is read, though the column is padding
							take(0, group*m.ci+in, r, 0)
						}
						continue
					}
					w := int32(1)
					if l.Weights() > 0 {
						w = int32(m.weights[((ch*m.ci+in)*l.Kernel.H+dy)*l.Kernel.W+dx])
					}
					sum += w * take(0, group*m.ci+in, r, c)
				}
			}
		}
	}
	return sum
}

// all returns what is reduced to one, or the position itself.
func all(at, out, in int) []int {
	if out == in {
		return []int{at}
	}
	var every []int
	for i := range in {
		every = append(every, i)
	}
	return every
}

// position returns which row and column a tap of a result's window is on, if any; a row
// beyond the map where there is none.
func (m *machine) position(y, x, dy, dx int) (row, col int, ok bool) {
	l := m.l
	row = along(l.Op, y, dy, l.Stride.H, max(1, l.Dilation.H), l.Pad.Top)
	col = along(l.Op, x, dx, l.Stride.W, max(1, l.Dilation.W), l.Pad.Left)
	return row, col, row >= 0 && col >= 0 && row < l.In.H && col < l.In.W
}

// along returns the position of a tap along one axis, −1 if it is on none.
func along(op arch.Op, at, tap, stride, dilation, pad int) int {
	if op != arch.Deconv {
		return at*stride - pad + tap*dilation
	}
	if at += pad - tap*dilation; at%stride != 0 {
		return -1
	}
	return at / stride
}

// broadcast returns the element of an operand of a pair.
func (m *machine) broadcast(k, ch, y, x int, take func(k, ch, row, col int) int32) int32 {
	s := m.l.Operand(k)
	return take(k, ch%s.C, y%s.H, x%s.W)
}

// product returns a term of a matrix product.
func (m *machine) product(ch, y, in int, take func(k, ch, row, col int) int32) int32 {
	a, b, out := m.l.In, m.l.Operand(1), m.l.Out
	c, row, col := ch/m.co, y, ch%m.co
	switch {
	case a.C < b.C: // transposed
		c, row, col = y/out.W, ch, y%out.W
	case b.C < a.C:
		c, row = y/out.H, y%out.H
	}
	return take(0, c%a.C, row, in) * take(1, c%b.C, in, col)
}

// reference computes the layer at once.
func (m *machine) reference() []int8 {
	out := make([]int8, m.window.out)
	for ch := range m.groups * m.co {
		for y := range m.ho {
			for x := range m.wo {
				out[(ch*m.ho+y)*m.wo+x] = int8(m.start(ch) + m.dot(ch, y, x, [2]int{0, m.ci}, m.element))
			}
		}
	}
	return out
}

// windowOf returns a layer's window.
func windowOf(l *arch.Layer) (g window) {
	g.set(l)
	return g
}

// smallLayer draws a layer of a few elements.
func smallLayer(rng *rand.Rand) arch.Layer {
	ops := []arch.Op{arch.Conv, arch.Pointwise, arch.Depthwise, arch.Linear, arch.Pool, arch.Add, arch.Deconv, arch.Resize, arch.Elementwise, arch.Mul, arch.MatMul}
	op := ops[rng.IntN(len(ops))]
	n := func(most int) int { return 1 + rng.IntN(most) }
	l := arch.Layer{Name: string(op), Op: op, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{-1},
		In: arch.Shape{C: n(6), H: n(7), W: n(7)}}
	l.Out = l.In
	one := func(v int) int {
		if rng.IntN(3) == 0 {
			return 1
		}
		return v
	}
	switch op {
	case arch.Conv, arch.Deconv, arch.Pointwise:
		l.Out.C = n(6)
		if g := n(3); g > 1 {
			l.Groups = g
			l.In.C, l.Out.C = g*n(3), g*n(3)
		}
	case arch.Depthwise:
		l.Out.C = l.In.C * n(3)
	case arch.Linear:
		l.Out = arch.Shape{C: n(6), H: 1, W: 1}
	case arch.Resize:
		l.Out.H, l.Out.W = n(9), n(9)
	case arch.Elementwise:
		l.Out = arch.Shape{C: one(l.In.C), H: one(l.In.H), W: one(l.In.W)}
	case arch.Add, arch.Mul:
		l.Inputs = []int{-1, -1}
		a, b := l.In, l.In
		if rng.IntN(2) == 0 {
			a = arch.Shape{C: one(a.C), H: one(a.H), W: one(a.W)}
			b = arch.Shape{C: one(b.C), H: one(b.H), W: one(b.W)}
		}
		l.In, l.Others = a, []arch.Shape{b}
		l.Out = arch.Shape{C: max(a.C, b.C), H: max(a.H, b.H), W: max(a.W, b.W)}
	case arch.MatMul:
		l.Inputs = []int{-1, -1}
		b := arch.Shape{C: l.In.C, H: l.In.W, W: n(6)}
		l.Out = arch.Shape{C: l.In.C, H: l.In.H, W: b.W}
		switch rng.IntN(3) {
		case 0:
			l.In.C = 1
		case 1:
			b.C = 1
		}
		l.Others = []arch.Shape{b}
	}
	switch op {
	case arch.Conv, arch.Depthwise, arch.Pool, arch.Deconv:
		windowed(rng, &l)
	}
	return l
}

// windowed draws a window that fits.
func windowed(rng *rand.Rand, l *arch.Layer) {
	for {
		n := func(most int) int { return 1 + rng.IntN(most) }
		l.Kernel, l.Stride = arch.Extent{H: n(4), W: n(4)}, arch.Extent{H: n(3), W: n(3)}
		if rng.IntN(3) == 0 && l.Op != arch.Pool {
			l.Dilation = arch.Extent{H: n(3), W: n(3)}
		}
		l.Pad = arch.Padding{Top: rng.IntN(l.Kernel.H), Left: rng.IntN(l.Kernel.W), Bottom: rng.IntN(l.Kernel.H), Right: rng.IntN(l.Kernel.W)}
		span := l.Span()
		l.Out.H, l.Out.W = l.In.H+l.Pad.Rows()-span.H, l.In.W+l.Pad.Columns()-span.W
		if l.Op == arch.Deconv {
			l.Out.H, l.Out.W = (l.In.H-1)*l.Stride.H+span.H-l.Pad.Rows(), (l.In.W-1)*l.Stride.W+span.W-l.Pad.Columns()
			if l.Out.H >= 1 && l.Out.W >= 1 {
				return
			}
			continue
		}
		if l.Out.H >= 0 && l.Out.W >= 0 {
			l.Out.H, l.Out.W = l.Out.H/l.Stride.H+1, l.Out.W/l.Stride.W+1
			return
		}
	}
}

// smallRoom draws a room in which the window may or may not fit.
func smallRoom(rng *rand.Rand, g *window) room {
	whole := g.in + g.out + g.w
	r := room{memory: rng.IntN(whole + whole/4 + 2), chip: operands(rng.IntN(1 << g.read)), outChip: rng.IntN(3) == 0, store: true}
	if r.outChip {
		r.store = rng.IntN(2) == 0
	}
	if rng.IntN(4) == 0 {
		r.weights = 1 + rng.IntN(g.w+2)
	}
	return r
}

// Layers that are drawn are layers, and each operation is drawn.
func TestSmallLayers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 12))
	for range 3000 {
		l := smallLayer(rng)
		net := arch.Network{Input: l.In, Layers: []arch.Layer{l}}
		if len(l.Inputs) > 1 && l.Others[0] != l.In { // a view makes the other shape
			net.Layers = []arch.Layer{{Name: "view", Op: arch.View, In: l.In, Out: l.Others[0], Inputs: []int{-1}}, l}
			net.Layers[1].Inputs = []int{-1, 0}
		}
		if err := net.Validate(); err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
	}
}

// A layer run with real numbers, tile by tile from buffers of the schedule's
// sizes, gives what computing it at once gives, and moves exactly the bytes
// that the schedule says.
func TestSimulation(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	orders, ops := map[Order]int{}, map[arch.Op]int{}
	for range 90_000 {
		l := smallLayer(rng)
		g := windowOf(&l)
		r := smallRoom(rng, &g)
		p := Platform{ActivationCost: rng.Float64(), WeightCost: 3 * rng.Float64() * float64(rng.IntN(2)), TileCost: rng.Float64(), DoubleBuffer: rng.IntN(2) == 0}
		var s Schedule
		if !p.schedule(&g, &r, smallRest(rng, &g), &s) {
			continue
		}
		orders[s.Order]++
		ops[l.Op]++
		m := newMachine(&l, &g, r, s, rng)
		m.run()
		if !slices.Equal(m.output, m.reference()) {
			t.Fatalf("%+v %+v: wrong result of %+v", l, r, s)
		}
		if m.in != s.In || m.out != s.Out || m.weight != s.Weights || m.partial != s.Partial {
			t.Fatalf("%+v %+v %+v: moved %d in, %d out, %d weights, %d partial", l, r, s, m.in, m.out, m.weight, m.partial)
		}
		for k := range g.read {
			if o := &g.operands[k]; s.Order != Untiled && m.most[o.index] > s.tile(&g, k) {
				t.Fatalf("%+v %+v %+v: a tile of operand %d has %d bytes, taken for %d", l, r, s, o.index, m.most[o.index], s.tile(&g, k))
			}
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
	for _, op := range []arch.Op{arch.Conv, arch.Pointwise, arch.Depthwise, arch.Linear, arch.Pool, arch.Add, arch.Mul, arch.MatMul, arch.Deconv, arch.Resize, arch.Elementwise} {
		if ops[op] < 1000 {
			t.Errorf("operation %q was tested %d times", op, ops[op])
		}
	}
}

// tile returns the bytes of the largest tile of an operand.
func (s *Schedule) tile(g *window, k int) int {
	o, n, chans := &g.operands[k], 1, s.Inputs
	if k == 1 && g.mapped {
		return s.Channels * min(s.Inputs, g.ci)
	}
	if o.rows {
		n = g.tileRows(s.Rows)
	}
	if !o.chans {
		chans = 1
	}
	return n * o.row * chans
}

// capacity adds up the buffers that a schedule needs: of maps that are not in
// the local memory, the largest tile, and of the weights. Twice a tile is never more
// than all there is.
func (s *Schedule) capacity(g *window, r *room, p *Platform) int {
	if s.Order == Untiled {
		return g.in + g.out + g.w
	}
	n := s.filters(g, p)
	for k := range g.read {
		if o := &g.operands[k]; r.chip>>o.index&1 == 1 {
			n += o.size
		} else {
			n += min(p.buffers()*s.tile(g, k), o.size)
		}
	}
	if r.outChip {
		n += g.out
	} else {
		n += min(p.buffers()*s.Rows*g.wo*s.Channels, g.out)
	}
	switch sums := psum * s.Rows * g.wo * s.Channels; s.Order {
	case SumIn:
		n += sums
	case SumOutC, SumOutH: // sums travel, while others are computed
		n += min(p.buffers()*sums, psum*g.out)
	}
	return n
}

// filters adds up the buffers for weights.
func (s *Schedule) filters(g *window, p *Platform) int {
	return min(p.buffers()*s.Channels*(g.perWeight*min(s.Inputs, g.ci)+g.bias), g.w)
}

// smallRest draws what a layer computes: less than it moves, more, or nothing.
func smallRest(rng *rand.Rand, g *window) rest {
	return rest{npu: float64(rng.IntN(3)) * rng.Float64() * float64(g.in+g.out+g.w), extra: float64(rng.IntN(2) * rng.IntN(50))}
}

// No tile and no order, of all that there are, is faster than the schedule, and where
// it finds none, none fits. Each is priced by counting what the machine moves. With
// one buffer a layer that fits is never cut.
func TestScheduleEqualsExhaustiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	cut, whole := 0, 0
	for range 3000 {
		l, p, r, got := compareExhaustively(t, rng)
		if g := windowOf(&l); got.Tiles > 0 && p.DoubleBuffer && g.fits(&r) {
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

// FuzzSchedule goes on where TestScheduleEqualsExhaustiveSearch ends.
func FuzzSchedule(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { compareExhaustively(t, rand.New(rand.NewPCG(a, b))) })
}

// compareExhaustively draws a layer, a platform and a room, and compares the schedule with
// all that there are. It has no tiles where none fits.
func compareExhaustively(t *testing.T, rng *rand.Rand) (l arch.Layer, p Platform, r room, got Schedule) {
	l = smallLayer(rng)
	g := windowOf(&l)
	r = smallRoom(rng, &g)
	p = Platform{ActivationCost: rng.Float64(), WeightCost: 3 * rng.Float64() * float64(rng.IntN(3)), TileCost: 3 * rng.Float64() * float64(rng.IntN(3)), DoubleBuffer: rng.IntN(3) > 0}
	work := smallRest(rng, &g)
	ok := p.schedule(&g, &r, work, &got)
	best, least, found := Schedule{}, 0.0, false
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
		if cost := p.time(&work, &s); !found || cost < least {
			best, least, found = s, cost, true
		}
	}
	if ok != found || ok && p.time(&work, &got) > least+1e-9 {
		t.Fatalf("%+v %+v %+v %+v:\nschedule    %v %+v\nexhaustive  %v %+v", l, r, p, work, ok, got, found, best)
	}
	return l, p, r, got
}

// allSchedules lists every tile in every order.
func allSchedules(g *window) []Schedule {
	all := []Schedule{{Rows: g.ho, Channels: g.groups * g.co, Inputs: g.groups * g.ci, Order: Untiled, Tiles: 1}}
	for th := 1; th <= g.ho; th++ {
		nh := ceilDiv(g.ho, th)
		for n := 1; n <= g.groups && (g.pairs() || g.groups > 1); n++ {
			for _, o := range []Order{RowsOut, ChansOut} {
				if n > 1 || g.pairs() {
					all = append(all, Schedule{Rows: th, Channels: n * g.co, Inputs: n * g.ci, Order: o, Tiles: nh * ceilDiv(g.groups, n)})
				}
			}
		}
		for tc := 1; tc <= g.co && !g.pairs(); tc++ {
			tiles := nh * ceilDiv(g.co, tc) * g.groups
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
