package arch

import (
	"reflect"
	"testing"
)

// Each way to describe a network yields it, under its derived or given name.
func TestSpec(t *testing.T) {
	space := testSpace()
	subnet := space.Smallest()
	b := MobileNetV2()
	layers := b.Scale(b.Uniform(0.5), 64, Rounding{})
	for _, c := range []struct {
		spec Spec
		name string
		macs int64
	}{
		{Spec{Width: 0.5, Resolution: 160}, "MobileNetV2 0.5@160", b.Scale(b.Uniform(0.5), 160, Rounding{}).MACs()},
		{Spec{Width: 0.35, Resolution: 96, Scaling: "published"}, "MobileNetV2 0.35@96", b.Scale(b.Published(0.35), 96, Rounding{}).MACs()},
		{Spec{Name: "baseline", Widths: b.Scaled(2), Resolution: 32}, "baseline", b.Scale(b.Scaled(2), 32, Rounding{}).MACs()},
		{Spec{Space: &space, Subnet: &subnet}, "subnet@96", space.Network(subnet).MACs()},
		{Spec{Input: Shape{3, 64, 64}, Layers: asList(layers)}, "64 layers", layers.MACs()},
	} {
		n, err := c.spec.Network()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if n.Name != c.name || n.MACs() != c.macs {
			t.Errorf("got %q with %d MACs, want %q with %d", n.Name, n.MACs(), c.name, c.macs)
		}
	}
}

// asList writes a network as a recipe would, without what need not be written.
func asList(n Network) []LayerSpec {
	var list []LayerSpec
	for i, l := range n.Layers {
		s := LayerSpec{Name: l.Name, Block: l.Block, Op: l.Op}
		switch l.Op {
		case Conv, Depthwise:
			s.Kernel, s.Stride = l.Kernel, l.Stride
		case Add:
			for _, j := range l.Inputs {
				s.Inputs = append(s.Inputs, n.Layers[j].Name)
			}
		}
		if l.Op == Conv || l.Op == Pointwise || l.Op == Linear {
			s.Channels = l.Out.C
		}
		if i == 0 {
			s.Inputs = []string{"input"}
		}
		list = append(list, s)
	}
	return list
}

// A list of layers, written with nothing that follows from the layer before it
// or is usual, gives the same layers.
func TestList(t *testing.T) {
	b := MobileNetV2()
	want := b.Scale(b.Uniform(0.5), 96, Rounding{})
	got, err := newList(want.Input, asList(want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Layers, want.Layers) {
		t.Errorf("got %+v", got.Layers)
	}
}

// A mistake in a list is found, with the layer and the attribute.
func TestListRefuses(t *testing.T) {
	one := Around(1)
	for want, layers := range map[string][]LayerSpec{
		`layers[0].kernel: must be written for a conv`:                                                        {{Op: Conv, Channels: 1}},
		`layers[0].channels: must be written for a pointwise`:                                                 {{Op: Pointwise, Name: "a"}},
		`layers[0].channels: a depthwise has those of its input, 3, or a multiple`:                            {{Op: Depthwise, Kernel: Square(3), Channels: 4}},
		`layers[1].name: there is another "a" before it`:                                                      {{Op: Pool, Name: "a"}, {Op: Pool, Name: "a"}},
		`layers[0].name: there is another "input" before it`:                                                  {{Op: Pool, Name: "input"}},
		`layers[0].inputs: there is no layer "b" before it`:                                                   {{Op: Pool, Inputs: []string{"b"}}},
		`layers[0]: inputs: got 1, want 2 for op add`:                                                         {{Op: Add}},
		`layers[1]: reads 3×4×4 and 3×2×2: want equal shapes, or 1 where one is repeated`:                     {{Op: Depthwise, Kernel: Square(3), Stride: Square(2)}, {Op: Add, Inputs: []string{"input", "depthwise1"}}},
		`layers[0]: a 5×5 window does not fit in its padded input of 3×4×4`:                                   {{Op: Conv, Channels: 1, Kernel: Square(5), Pad: new(Padding)}},
		`layers[0].pad: 1 adds rows or columns that only padding is seen of: want less than the window's 1×1`: {{Op: Pointwise, Channels: 1, Pad: &one}},
		`layers[0]: unknown operation "swish"`:                                                                {{Op: "swish", Kernel: Square(1)}},
	} {
		if _, err := newList(Shape{3, 4, 4}, layers); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A spec that describes no network, or two, is refused with what to write.
func TestSpecRefuses(t *testing.T) {
	space := testSpace()
	subnet := space.Smallest()
	wrong := subnet.Clone()
	wrong.Resolution = 100
	const which = "write one of: width (or widths) and resolution; space and subnet; input and layers; onnx; tflite"
	for want, spec := range map[string]Spec{
		which: {},
		"resolution: must be written: the input size in pixels, such as 160":                     {Width: 1},
		"widths: width is written, too: want one of them":                                        {Width: 1, Widths: Widths{1}, Resolution: 1},
		"widths: got 1 multipliers, want 9: the stem, 7 groups, the head":                        {Widths: Widths{1}, Resolution: 1},
		"space: must be written: the space that the subnet is of":                                {Subnet: &subnet},
		"subnet: resolution 100 is not one of [96 128]":                                          {Space: &space, Subnet: &wrong},
		"input: 0×0×0, want the shape of the network's input, such as { c = 3, h = 96, w = 96 }": {Layers: []LayerSpec{{Op: Pool}}},
		"backbone.groups: a backbone needs at least one group":                                   {Width: 1, Resolution: 1, Backbone: &Backbone{1, Stem{1, 1, 1}, nil, 1, 1}},
	} {
		if err := spec.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := (Spec{Width: 1, Resolution: 1, Space: &space, Subnet: &subnet}).Validate(); err == nil || err.Error() != which {
		t.Errorf("got %v, want %s", err, which)
	}
}
