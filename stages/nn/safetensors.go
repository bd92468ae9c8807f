package nn

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"eyrie/stages/arch"
)

// A weights file is in the safetensors format: the length of the header (8
// bytes, little endian), the header (JSON: name → dtype, shape, offsets; and
// __metadata__), then the tensors' bytes, here all F32, in the header's order.
//
// Tensors have PyTorch's names and layouts. For each layer, named as in
// arch.Space.Network ("stem", "g2.b1.expand", "g2.b1.depthwise",
// "g2.b1.project", …, "head"):
//
//	<layer>.weight                       [out, in/groups, k, k]
//	<layer>.bn.weight, .bias             [out]
//	<layer>.bn.running_mean, running_var [out], those of the largest subnet
//	<layer>.transform.5to3               [9, 9], depthwise layers only
//	classifier.weight, classifier.bias   [classes, features], [classes]
//
// Each has the extent of the largest subnet; a smaller one takes the first
// blocks of a group, the first channels, and the centre of the kernel, whose
// taps, flattened, the transform then multiplies from the left. The metadata
// hold "format" (formatName) and "space" (the arch.Space in JSON).
const formatName = "eyrie supernet 1"

// fileTensor is a tensor as it is in a file.
type fileTensor struct {
	name  string
	shape []int
	data  []float32
}

// order is how a tensor is laid out in a file: conv kernels as
// [out, in, k, k], square matrices as they are, others transposed.
type order struct {
	shape func(rows, cols int) []int
	// row returns which row of memory is number i in the file.
	row  func(i int) int
	keep bool // not transposed
}

func conv(k, in int) order {
	return order{
		shape: func(rows, cols int) []int { return []int{cols, in, k, k} },
		row:   func(i int) int { return i%(k*k)*in + i/(k*k) },
	}
}

var (
	vector = order{keep: true, shape: func(rows, cols int) []int { return []int{cols} }}
	square = order{keep: true, shape: func(rows, cols int) []int { return []int{rows, cols} }}
	matrix = order{shape: func(rows, cols int) []int { return []int{cols, rows} }, row: func(i int) int { return i }}
)

// export returns v, laid out in memory as p, as it is in a file.
func (p *param) export(v []float32) []float32 {
	if p.order.keep {
		return slices.Clone(v)
	}
	out := make([]float32, len(v))
	for c := range p.cols {
		for i := range p.rows {
			out[c*p.rows+i] = v[p.order.row(i)*p.cols+c]
		}
	}
	return out
}

// load sets p to the content of a file's tensor.
func (p *param) load(v []float32) {
	if p.order.keep {
		copy(p.value, v)
		return
	}
	for c := range p.cols {
		for i := range p.rows {
			p.value[p.order.row(i)*p.cols+c] = v[c*p.rows+i]
		}
	}
}

// tensors returns all tensors as they are in a file.
func (s *Supernet) tensors() []fileTensor {
	var list []fileTensor
	for _, p := range s.ps.list {
		list = append(list, fileTensor{p.name, p.order.shape(p.rows, p.cols), p.export(p.value)})
	}
	for _, l := range s.all() {
		list = append(list,
			fileTensor{l.name + ".bn.running_mean", []int{l.maxOut}, l.runMean[:l.maxOut]},
			fileTensor{l.name + ".bn.running_var", []int{l.maxOut}, l.runVar[:l.maxOut]})
	}
	slices.SortFunc(list, func(a, b fileTensor) int { return strings.Compare(a.name, b.name) })
	return list
}

// header is an entry of a file's header.
type header struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// Write writes the weights.
func (s *Supernet) Write(w io.Writer) error {
	space, err := json.Marshal(s.space)
	if err != nil {
		return err
	}
	list := s.tensors()
	var h bytes.Buffer
	meta, err := json.Marshal(map[string]string{"format": formatName, "space": string(space)})
	if err != nil {
		return err
	}
	fmt.Fprintf(&h, `{"__metadata__":%s`, meta)
	at := 0
	for _, t := range list {
		entry, err := json.Marshal(header{"F32", t.shape, [2]int{at, at + 4*len(t.data)}})
		if err != nil {
			return err
		}
		fmt.Fprintf(&h, ",%s:%s", strconv.Quote(t.name), entry)
		at += 4 * len(t.data)
	}
	h.WriteByte('}')
	for h.Len()%8 != 0 {
		h.WriteByte(' ')
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(h.Len()))
	b = append(b, h.Bytes()...)
	if _, err := w.Write(b); err != nil {
		return err
	}
	for _, t := range list {
		if _, err := w.Write(appendFloats(b[:0], t.data)); err != nil {
			return err
		}
	}
	return nil
}

// Save writes the weights to a file.
func (s *Supernet) Save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := s.Write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// ErrFormat reports a weights file that is not one, or not whole.
var ErrFormat = errors.New("not a supernet's weights")

// Load reads the weights that Save wrote.
func Load(path string) (*Supernet, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Parse decodes a weights file. Its errors wrap ErrFormat.
func Parse(b []byte) (*Supernet, error) {
	entries, space, data, err := parseHeader(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	s := build(space)
	read := func(name string, shape []int, n int) ([]float32, error) {
		h, ok := entries[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: tensor %q is missing", ErrFormat, name)
		case h.DType != "F32":
			return nil, fmt.Errorf("%w: tensor %q is %s, want F32", ErrFormat, name, h.DType)
		case !slices.Equal(h.Shape, shape):
			return nil, fmt.Errorf("%w: tensor %q has shape %v, want %v", ErrFormat, name, h.Shape, shape)
		case h.Offsets[0] < 0 || h.Offsets[1] > len(data) || h.Offsets[1]-h.Offsets[0] != 4*n:
			return nil, fmt.Errorf("%w: tensor %q: offsets %v do not fit", ErrFormat, name, h.Offsets)
		}
		return floats(data[h.Offsets[0]:h.Offsets[1]]), nil
	}
	for _, p := range s.ps.list {
		v, err := read(p.name, p.order.shape(p.rows, p.cols), len(p.value))
		if err != nil {
			return nil, err
		}
		p.load(v)
	}
	for _, l := range s.all() {
		for name, dst := range map[string][]float32{"mean": l.runMean, "var": l.runVar} {
			v, err := read(l.name+".bn.running_"+name, []int{l.maxOut}, l.maxOut)
			if err != nil {
				return nil, err
			}
			copy(dst, v)
		}
	}
	return s, nil
}

func parseHeader(b []byte) (entries map[string]header, space arch.Space, data []byte, err error) {
	if len(b) < 8 {
		return nil, space, nil, errors.New("shorter than its header's length")
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(len(b)-8) {
		return nil, space, nil, fmt.Errorf("a header of %d bytes in a file of %d", n, len(b))
	}
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(b[8:8+n], &raw); err != nil {
		return nil, space, nil, fmt.Errorf("header: %w", err)
	}
	var meta map[string]string
	if err := json.Unmarshal(raw["__metadata__"], &meta); err != nil {
		return nil, space, nil, fmt.Errorf("header: metadata: %w", err)
	}
	if meta["format"] != formatName {
		return nil, space, nil, fmt.Errorf("header: format %q, want %q", meta["format"], formatName)
	}
	if err := json.Unmarshal([]byte(meta["space"]), &space); err != nil {
		return nil, space, nil, fmt.Errorf("header: space: %w", err)
	}
	if err := space.Validate(); err != nil {
		return nil, space, nil, fmt.Errorf("header: space: %w", err)
	}
	delete(raw, "__metadata__")
	entries = map[string]header{}
	for name, r := range raw {
		var h header
		if err := json.Unmarshal(r, &h); err != nil {
			return nil, space, nil, fmt.Errorf("header: tensor %q: %w", name, err)
		}
		entries[name] = h
	}
	return entries, space, b[8+n:], nil
}

// appendFloats appends values, little endian.
func appendFloats(b []byte, v []float32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// floats decodes what appendFloats wrote.
func floats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}
