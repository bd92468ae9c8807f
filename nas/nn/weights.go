package nn

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"eyrie/nas/arch"
)

// A weights file holds a supernet's tensors as safetensors, under PyTorch's
// names and in its layouts. For each layer, named as in arch.Space.Network
// ("stem", "g2.b1.expand", "g2.b1.depthwise", "g2.b1.project", …, "head"):
//
//	<layer>.weight                             [out, in/groups, k, k]
//	<layer>.bn.weight, .bias                   [out]
//	<layer>.bn.running_mean, .bn.running_var   [out], those of the main subnet
//	<layer>.transform.5to3                     [9, 9], elastic depthwise layers only
//	classifier.weight, classifier.bias         [classes, features], [classes]
//
// Each has the extent of the largest subnet; a smaller one takes the first
// blocks of a group, the first channels, and the centre of the kernel, whose
// taps, flattened, the transform then multiplies from the left. The metadata
// hold "format" (formatName), "space" (the arch.Space in JSON), "held_out"
// (Supernet.HeldOut; 0 where it is missing), and of one network that was trained alone
// "network" (Supernet.Network in JSON).
const formatName = "eyrie supernet 1"

// ErrFormat reports a weights file that is not one, or not whole.
var ErrFormat = errors.New("not a supernet's weights")

// order is how a tensor is laid out in a file.
type order struct {
	shape func(rows, cols int) []int
	row   func(i int) int // which row of memory is number i of a column in the file; nil: not transposed
}

// conv is the order of k×k kernels over in channels; in memory a row is a tap of a channel.
func conv(k, in int) order {
	return order{
		shape: func(rows, cols int) []int { return []int{cols, in, k, k} },
		row:   func(i int) int { return i%(k*k)*in + i/(k*k) },
	}
}

var (
	vector = order{shape: func(rows, cols int) []int { return []int{cols} }}
	square = order{shape: func(rows, cols int) []int { return []int{rows, cols} }}
	matrix = order{shape: func(rows, cols int) []int { return []int{cols, rows} }, row: func(i int) int { return i }}
)

// export returns v, laid out in memory as p, as it is in a file.
func (p *param) export(v []float32) []float32 {
	out := slices.Clone(v)
	if p.order.row != nil {
		for c := range p.cols {
			for i := range p.rows {
				out[c*p.rows+i] = v[p.order.row(i)*p.cols+c]
			}
		}
	}
	return out
}

// load sets p to the content of a file's tensor.
func (p *param) load(v []float32) {
	copy(p.value, v)
	if p.order.row != nil {
		for c := range p.cols {
			for i := range p.rows {
				p.value[p.order.row(i)*p.cols+c] = v[c*p.rows+i]
			}
		}
	}
}

// tensors returns all tensors as they are in a file, sorted by name.
func (s *Supernet) tensors() []fileTensor {
	var list []fileTensor
	for _, p := range s.ps.list {
		list = append(list, fileTensor{p.name, p.order.shape(p.rows, p.cols), p.export(p.value)})
	}
	for _, l := range s.all() {
		list = append(list,
			fileTensor{l.name + runningMean, []int{l.maxOut}, l.runMean[:l.maxOut]},
			fileTensor{l.name + runningVar, []int{l.maxOut}, l.runVar[:l.maxOut]})
	}
	slices.SortFunc(list, func(a, b fileTensor) int { return strings.Compare(a.name, b.name) })
	return list
}

const runningMean, runningVar = ".bn.running_mean", ".bn.running_var"

// Weights returns the trained tensors by name, in a file's layout.
func (s *Supernet) Weights() map[string][]float32 {
	m := map[string][]float32{}
	for _, p := range s.ps.list {
		m[p.name] = p.export(p.value)
	}
	return m
}

// Save writes the weights to a file.
func (s *Supernet) Save(path string) error { return os.WriteFile(path, s.Encode(), 0o666) }

// Encode returns the content of a weights file.
func (s *Supernet) Encode() []byte {
	space := must(json.Marshal(s.space))
	meta := map[string]string{"format": formatName, "space": string(space), "held_out": strconv.Itoa(s.HeldOut)}
	if s.Network != nil {
		meta["network"] = string(must(json.Marshal(s.Network)))
	}
	return encodeTensors(meta, s.tensors())
}

// Tensors are tensors by name, each a slice of values in a file's layout.
type Tensors map[string][]float32

// DecodeTensors reads the tensors of a safetensors file, all of them F32 and finite.
func DecodeTensors(b []byte) (Tensors, error) {
	_, list, err := decodeTensors(b)
	if err != nil {
		return nil, err
	}
	t := Tensors{}
	for name, f := range list {
		t[name] = f.data
	}
	return t, nil
}

// SetWeights sets the trained tensors to those of the same names, all of which must be
// there. The statistics of batch normalisation stay what they were.
func (s *Supernet) SetWeights(t Tensors) error {
	for _, p := range s.ps.list {
		if v := t[p.name]; len(v) != len(p.value) {
			return fmt.Errorf("tensor %q has %d values, want %d", p.name, len(v), len(p.value))
		}
	}
	for _, p := range s.ps.list {
		p.load(t[p.name])
	}
	s.changed()
	return nil
}

// Load reads the weights that Save wrote. A file that holds something else is an
// error that wraps ErrFormat.
func Load(path string) (*Supernet, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
	}
	return s, nil
}

// checkSize refuses a space whose weights cannot be in a file of n bytes, before
// anything of its size is made.
func checkSize(space arch.Space, n int) error {
	b := space.Backbone
	values := slices.Concat(space.Expansions, space.Kernels, []int{b.Stem.Kernel})
	for _, v := range values {
		if v > 1<<6 {
			return fmt.Errorf("space: an expansion or kernel of %d", v)
		}
	}
	values = []int{b.Input, b.Stem.Channels, b.Head, b.Classes}
	blocks := 0
	for _, g := range b.Groups {
		values = append(values, g.Channels)
		blocks += max(g.Repeats, slices.Max(space.Depths))
		if g.Expansion > 1<<6 || blocks > 1<<10 || blocks < 0 {
			return errors.New("space: too many blocks or too large an expansion")
		}
	}
	if m := slices.Max(values); m > 1<<14 {
		return fmt.Errorf("space: %d channels or classes", m)
	}
	if space.Network(space.Largest()).Params() > int64(n/4) {
		return fmt.Errorf("space: its largest network does not fit in %d bytes", n)
	}
	return nil
}

// parse decodes a weights file.
func parse(b []byte) (*Supernet, error) {
	meta, tensors, err := decodeTensors(b)
	if err != nil {
		return nil, err
	}
	if meta["format"] != formatName {
		return nil, fmt.Errorf("format %q, want %q", meta["format"], formatName)
	}
	var space arch.Space
	if err := json.Unmarshal([]byte(meta["space"]), &space); err != nil {
		return nil, fmt.Errorf("space: %w", err)
	}
	if err := space.Validate(); err != nil {
		return nil, fmt.Errorf("space: %w", err)
	}
	if err := checkSize(space, len(b)); err != nil {
		return nil, err
	}
	s := build(space)
	if held, ok := meta["held_out"]; ok {
		if s.HeldOut, err = strconv.Atoi(held); err != nil || s.HeldOut < 0 {
			return nil, fmt.Errorf("held_out: %q, want a number of images", held)
		}
	}
	if text, ok := meta["network"]; ok {
		if err := json.Unmarshal([]byte(text), &s.Network); err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
		if err := space.Contains(s.Main()); err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
	}
	wanted := len(s.ps.list) + 2*len(s.all())
	for _, p := range s.ps.list {
		v, err := lookup(tensors, p.name, p.order.shape(p.rows, p.cols))
		if err != nil {
			return nil, err
		}
		p.load(v)
	}
	for _, l := range s.all() {
		for name, dst := range map[string][]float32{runningMean: l.runMean, runningVar: l.runVar} {
			v, err := lookup(tensors, l.name+name, []int{l.maxOut})
			if err != nil {
				return nil, err
			}
			if i := slices.IndexFunc(v, func(x float32) bool { return x < 0 }); i >= 0 && name == runningVar {
				return nil, fmt.Errorf("tensor %q: value %d is %v, and no variance is below 0", l.name+name, i, v[i])
			}
			copy(dst, v)
		}
	}
	if len(tensors) > wanted {
		return nil, fmt.Errorf("%d tensors more than the space has", len(tensors)-wanted)
	}
	return s, nil
}

func lookup(tensors map[string]fileTensor, name string, shape []int) ([]float32, error) {
	t, ok := tensors[name]
	if !ok {
		return nil, fmt.Errorf("tensor %q is missing", name)
	}
	if !slices.Equal(t.shape, shape) {
		return nil, fmt.Errorf("tensor %q has shape %v, want %v", name, t.shape, shape)
	}
	return t.data, nil
}
