package arch

import (
	"encoding/json"
	"testing"
)

// Extents and paddings are written as short as they can be, and read back.
func TestExtentJSON(t *testing.T) {
	type window struct {
		Kernel Extent
		Pad    Padding
	}
	for text, want := range map[string]window{
		`{"Kernel":3,"Pad":1}`:               {Square(3), Around(1)},
		`{"Kernel":[10,4],"Pad":[5,2]}`:      {Extent{10, 4}, Padding{5, 2, 5, 2}},
		`{"Kernel":[1,7],"Pad":[0,1,2,3]}`:   {Extent{1, 7}, Padding{0, 1, 2, 3}},
		`{"Kernel":1048576,"Pad":[0,0,1,1]}`: {Square(1 << 20), Padding{0, 0, 1, 1}},
	} {
		var got window
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
		if b, err := json.Marshal(want); err != nil || string(b) != text {
			t.Errorf("%+v is written %s, %v", want, b, err)
		}
	}
	for text, want := range map[string]string{
		`0`:         `got "0", want an integer from 1 to 1048576`,
		`2.5`:       `got "2.5", want an integer from 1 to 1048576`,
		`1e9`:       `got "1e9", want an integer from 1 to 1048576`,
		`"3x3"`:     "want an integer or a list of integers",
		`{"h": 1}`:  "want an integer or a list of integers",
		`[3]`:       "a list of 1: write the number without brackets",
		`[1, 2, 3]`: "a list of 3: want one number for both, such as 3, or [rows, columns], such as [10, 4]",
	} {
		if err := json.Unmarshal([]byte(text), new(Extent)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Every operation of a list has the shape, the weights and the MACs of its definition.
func TestListOperations(t *testing.T) {
	input := Shape{8, 12, 10}
	pad := Padding{0, 1, 2, 3}
	for name, c := range map[string]struct {
		layers        []LayerSpec
		out           Shape
		macs, weights int64
	}{
		"rectangular": {[]LayerSpec{{Op: Conv, Channels: 4, Kernel: Extent{10, 4}, Stride: Extent{2, 1}}}, Shape{4, 7, 11}, 10 * 4 * 8 * 4 * 77, 10 * 4 * 8 * 4},
		"unequal pad": {[]LayerSpec{{Op: Conv, Channels: 4, Kernel: Extent{3, 4}, Pad: &pad}}, Shape{4, 12, 11}, 3 * 4 * 8 * 4 * 132, 3 * 4 * 8 * 4},
		"dilated":     {[]LayerSpec{{Op: Conv, Channels: 4, Kernel: Square(3), Dilation: Square(2)}}, Shape{4, 12, 10}, 9 * 8 * 4 * 120, 9 * 8 * 4},
		"grouped":     {[]LayerSpec{{Op: Conv, Channels: 6, Kernel: Square(3), Groups: 2}}, Shape{6, 12, 10}, 9 * 4 * 6 * 120, 9 * 4 * 6},
		"multiplier":  {[]LayerSpec{{Op: Depthwise, Channels: 24, Kernel: Square(3)}}, Shape{24, 12, 10}, 9 * 24 * 120, 9 * 24},
		"deconv":      {[]LayerSpec{{Op: Deconv, Channels: 3, Kernel: Square(3), Stride: Square(2)}}, Shape{3, 24, 20}, 9 * 8 * 3 * 120, 9 * 8 * 3},
		"excite":      {[]LayerSpec{{Op: Pool}, {Op: Pointwise, Channels: 8, Name: "s"}, {Op: Mul, Inputs: []string{"input", "s"}}}, input, 64, 64},
		"spatial":     {[]LayerSpec{{Op: Pointwise, Channels: 1}, {Op: Mul, Inputs: []string{"pointwise1", "input"}}}, input, 8 * 120, 8},
		"softmax":     {[]LayerSpec{{Op: Elementwise}}, input, 0, 0},
		"resize":      {[]LayerSpec{{Op: Resize, Size: Extent{24, 20}}}, Shape{8, 24, 20}, 0, 0},
		"concat":      {[]LayerSpec{{Op: Pointwise, Channels: 3}, {Op: View, Inputs: []string{"input", "pointwise1", "input"}}}, Shape{19, 12, 10}, 24 * 120, 24},
		"attention":   {[]LayerSpec{{Op: Resize, Size: Extent{10, 6}}, {Op: MatMul, Inputs: []string{"input", "resize1"}}}, Shape{8, 12, 6}, 8 * 12 * 10 * 6, 0},
	} {
		n, err := newList(input, c.layers)
		if err == nil {
			err = n.Validate()
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l := n.Layers[len(n.Layers)-1]; l.Out != c.out || n.MACs() != c.macs || n.Params() != c.weights {
			t.Errorf("%s: %v, %d MACs, %d parameters; want %v, %d, %d", name, l.Out, n.MACs(), n.Params(), c.out, c.macs, c.weights)
		}
	}
}

// A mistake in what only some operations have is found.
func TestListOperationsRefused(t *testing.T) {
	for want, layers := range map[string][]LayerSpec{
		`layers[0]: 8 to 5 channels in 2 groups: want groups of equal size`:                                                     {{Op: Conv, Channels: 5, Kernel: Square(1), Groups: 2}},
		`layers[0].groups: a pool has none`:                                                                                     {{Op: Pool, Groups: 2}},
		`layers[0].size: must be written for a resize: the rows and columns that it makes`:                                      {{Op: Resize}},
		`layers[0].size: a pool has none`:                                                                                       {{Op: Pool, Size: Square(1)}},
		`layers[1].inputs: "input" is 8×12×10 and "pool1" is 8×1×1: want equal rows and columns`:                                {{Op: Pool}, {Op: View, Inputs: []string{"input", "pool1"}}},
		`layers[0]: 8×12×10 by 8×12×10 is no product: want as many columns as the second has rows, and as many channels or one`: {{Op: MatMul, Inputs: []string{"input", "input"}}},
		`layers[0].pad: [0,0,19,19] adds rows or columns that only padding is seen of: want less than the window's 1×1`:         {{Op: Deconv, Channels: 1, Kernel: Square(1), Pad: &Padding{0, 0, 19, 19}}},
	} {
		if _, err := newList(Shape{8, 12, 10}, layers); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
