package tflite

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"

	flatbuffers "github.com/google/flatbuffers/go"
)

// What a model may have at most that is read. Real ones are far below.
const (
	maxRank    = 16
	maxInts    = 1 << 12 // elements of a constant: axes and paddings are few
	maxName    = 1 << 10 // bytes
	identifier = "TFL3"
)

// Parse reads a model. No content makes it panic or read more than a few times what the file
// has.
func Parse(b []byte) (m *Model, err error) {
	if len(b) < 8 || string(b[4:8]) != identifier {
		return nil, fmt.Errorf("not a TensorFlow Lite model: the bytes 4 to 7 are not %q", identifier)
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error: // the library indexes the bytes by offsets that are in them
			m, err = nil, fmt.Errorf("not a TensorFlow Lite model: an offset leads beyond its end")
		default:
			panic(r)
		}
	}()
	p := &parser{bytes: b, left: len(b)}
	if m, err = p.model(); err != nil {
		return nil, fmt.Errorf("not a TensorFlow Lite model: %w", err)
	}
	return m, nil
}

// parser counts what it reads: tables may share what they point to, so that a small file could
// hold any amount.
type parser struct {
	bytes []byte
	left  int
}

// table is a table of the file, or none where Bytes is nil.
type table struct {
	flatbuffers.Table
}

// field returns the position of the field's content; ok is false where it is left out.
func (t table) field(number int) (at flatbuffers.UOffsetT, ok bool) {
	if t.Bytes == nil {
		return 0, false
	}
	o := flatbuffers.UOffsetT(t.Offset(flatbuffers.VOffsetT(4 + 2*number)))
	return t.Pos + o, o != 0
}

func (t table) int(number, usual int) int {
	if at, ok := t.field(number); ok {
		return int(t.GetInt32(at))
	}
	return usual
}

func (t table) byte(number int) int {
	if at, ok := t.field(number); ok {
		return int(t.GetByte(at))
	}
	return 0
}

func (t table) table(number int) (to table) {
	if at, ok := t.field(number); ok {
		to.Bytes, to.Pos = t.Bytes, t.Indirect(at)
	}
	return to
}

// elements returns where the elements of a vector begin, and how many there are. Each has size bytes.
func (p *parser) elements(t table, number, size int) (at flatbuffers.UOffsetT, n int, err error) {
	at, ok := t.field(number)
	if !ok {
		return 0, 0, nil
	}
	at += t.GetUOffsetT(at)
	n = int(t.GetUOffsetT(at))
	if p.left -= size * n; n < 0 || n > len(p.bytes)/size || p.left < 0 {
		return 0, 0, fmt.Errorf("its lists have more elements than it has bytes")
	}
	return at + flatbuffers.SizeUOffsetT, n, nil
}

func (p *parser) tables(t table, number int) ([]table, error) {
	at, n, err := p.elements(t, number, 4)
	all := make([]table, n)
	for i := range all {
		all[i].Bytes, all[i].Pos = p.bytes, t.Indirect(at+flatbuffers.UOffsetT(4*i))
	}
	return all, err
}

func (p *parser) ints(t table, number int) ([]int, error) {
	at, n, err := p.elements(t, number, 4)
	all := make([]int, n)
	for i := range all {
		all[i] = int(t.GetInt32(at + flatbuffers.UOffsetT(4*i)))
	}
	return all, err
}

func (p *parser) text(t table, number int) (string, error) {
	at, n, err := p.elements(t, number, 1)
	return string(p.bytes[at : int(at)+min(n, maxName)]), err
}

func (p *parser) model() (*Model, error) {
	root := table{flatbuffers.Table{Bytes: p.bytes, Pos: flatbuffers.GetUOffsetT(p.bytes)}}
	graphs, err := p.tables(root, 2)
	if err == nil && len(graphs) == 0 {
		err = fmt.Errorf("there is no graph in it")
	}
	if err != nil {
		return nil, err
	}
	names, err := p.operatorNames(root)
	if err != nil {
		return nil, err
	}
	buffers, err := p.tables(root, 4)
	if err != nil {
		return nil, err
	}
	m := &Model{}
	g := graphs[0]
	if m.Name, err = p.text(g, 4); err != nil {
		return nil, err
	}
	tensors, err := p.tables(g, 0)
	if err != nil {
		return nil, err
	}
	for i, t := range tensors {
		v, err := p.tensor(t, buffers)
		if err != nil {
			return nil, fmt.Errorf("tensor %d (%q): %w", i, v.Name, err)
		}
		m.Tensors = append(m.Tensors, v)
	}
	if m.Inputs, err = p.indices(g, 1, len(tensors), 0); err != nil {
		return nil, fmt.Errorf("inputs: %w", err)
	}
	if m.Outputs, err = p.indices(g, 2, len(tensors), 0); err != nil {
		return nil, fmt.Errorf("outputs: %w", err)
	}
	operators, err := p.tables(g, 3)
	if err != nil {
		return nil, err
	}
	for i, t := range operators {
		o, err := p.operator(t, names, len(tensors))
		if err != nil {
			return nil, fmt.Errorf("operator %d: %w", i, err)
		}
		m.Operators = append(m.Operators, o)
	}
	return m, nil
}

// operatorNames returns the names of the operators that the model uses.
func (p *parser) operatorNames(root table) (names []string, err error) {
	codes, err := p.tables(root, 1)
	for _, t := range codes {
		// The code was a byte once; larger ones stand in a field that was added.
		code := max(t.byte(0), t.int(3, 0))
		name := fmt.Sprintf("operator %d", code)
		if known, ok := operators[code]; ok {
			name = known
		}
		if code == custom {
			own, err := p.text(t, 1)
			if err != nil {
				return nil, err
			}
			name = "CUSTOM " + own
		}
		names = append(names, name)
	}
	return names, err
}

// indices returns a list of tensors, each at least least.
func (p *parser) indices(t table, number, tensors, least int) ([]int, error) {
	all, err := p.ints(t, number)
	for _, i := range all {
		if i < least || i >= tensors {
			return nil, fmt.Errorf("there is no tensor %d", i)
		}
	}
	return all, err
}

// The types of integers.
const (
	int32Type = 2
	int64Type = 4
)

func (p *parser) tensor(t table, buffers []table) (v Tensor, err error) {
	if v.Name, err = p.text(t, 3); err != nil {
		return v, err
	}
	if v.Shape, err = p.ints(t, 0); err != nil {
		return v, err
	}
	if len(v.Shape) > maxRank || slices.ContainsFunc(v.Shape, func(n int) bool { return n < 0 }) {
		return v, fmt.Errorf("its shape is %v", v.Shape[:min(len(v.Shape), maxRank)])
	}
	v.Buffer = t.int(2, 0)
	if v.Buffer < 0 || v.Buffer >= max(1, len(buffers)) {
		return v, fmt.Errorf("there is no buffer %d", v.Buffer)
	}
	size := map[int]int{int32Type: 4, int64Type: 8}[t.byte(1)]
	if size == 0 || v.Buffer == 0 {
		return v, nil
	}
	at, ok := buffers[v.Buffer].field(0)
	if !ok {
		return v, nil
	}
	at += t.GetUOffsetT(at)
	n := int(t.GetUOffsetT(at))
	if n%size != 0 || n < 0 || n > size*maxInts {
		return v, nil
	}
	if p.left -= n; p.left < 0 {
		return v, fmt.Errorf("its lists have more elements than it has bytes")
	}
	data := p.bytes[at+flatbuffers.SizeUOffsetT:][:n]
	for ; len(data) > 0; data = data[size:] {
		if size == 4 {
			v.Ints = append(v.Ints, int64(int32(binary.LittleEndian.Uint32(data))))
		} else {
			v.Ints = append(v.Ints, int64(binary.LittleEndian.Uint64(data)))
		}
	}
	return v, nil
}

func (p *parser) operator(t table, names []string, tensors int) (o Operator, err error) {
	code := t.int(0, 0)
	if code < 0 || code >= len(names) {
		return o, fmt.Errorf("there is no operator code %d", code)
	}
	o.Name = names[code]
	if o.Inputs, err = p.indices(t, 1, tensors, -1); err != nil {
		return o, fmt.Errorf("%s: inputs: %w", o.Name, err)
	}
	if o.Outputs, err = p.indices(t, 2, tensors, 0); err != nil {
		return o, fmt.Errorf("%s: outputs: %w", o.Name, err)
	}
	o.Options = options(o.Name, t.table(4))
	return o, nil
}

// options reads the fields that an operator's options have.
func options(operator string, t table) (o Options) {
	const valid = 1
	o.DilationH, o.DilationW = 1, 1
	switch operator {
	case "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D":
		o.Same = t.byte(0) != valid
		o.StrideW, o.StrideH = t.int(1, 0), t.int(2, 0)
	}
	switch operator {
	case "CONV_2D":
		o.DilationW, o.DilationH = t.int(4, 1), t.int(5, 1)
	case "DEPTHWISE_CONV_2D":
		o.DilationW, o.DilationH = t.int(5, 1), t.int(6, 1)
	case "AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D":
		o.FilterW, o.FilterH = t.int(3, 0), t.int(4, 0)
	case "CONCATENATION", "GATHER":
		o.Axis = t.int(0, 0)
	case "PACK", "UNPACK":
		o.Axis = t.int(1, 0)
	case "SPACE_TO_DEPTH", "DEPTH_TO_SPACE":
		o.Block = t.int(0, 0)
	case "BATCH_MATMUL":
		o.TransposeFirst, o.TransposeSec = t.byte(0) != 0, t.byte(1) != 0
	case "STRIDED_SLICE":
		o.Shrink = t.int(4, 0)
	}
	return o
}
