package arch

import (
	"fmt"
	"slices"

	"eyrie/nas/onnx"
)

// This file says which layer each operator of ONNX is.

// data returns the node's first input, which must be a map.
func (g *importer) data(n *onnx.Node) (v value, in Shape, err error) {
	v, ok := g.values[n.Inputs[0]]
	if !ok || v.sizes {
		return v, in, fmt.Errorf("its first input, %q, is not a map", n.Inputs[0])
	}
	return v, g.net.shape(v.layer), nil
}

// weights returns the shape of the node's second input, and whether a layer before has
// the same.
func (g *importer) weights(n *onnx.Node, dimensions int) (shape []int64, reused bool, err error) {
	if len(n.Inputs) < 2 {
		return nil, false, fmt.Errorf("it has no weights")
	}
	w := g.constants[n.Inputs[1]]
	if len(w.shape) != dimensions {
		return nil, false, fmt.Errorf("its weights %q are not a constant of %d dimensions", n.Inputs[1], dimensions)
	}
	for _, d := range w.shape {
		if d < 1 || d > 1<<24 {
			return nil, false, fmt.Errorf("its weights have the shape %v", w.shape)
		}
	}
	reused = g.used[w.root]
	g.used[w.root] = true
	return w.shape, reused, nil
}

func (g *importer) conv(n *onnx.Node) error {
	v, in, err := g.data(n)
	if err != nil {
		return err
	}
	w, reused, err := g.weights(n, 4)
	if err != nil {
		return err
	}
	if v.flat {
		return fmt.Errorf("its input was made a vector")
	}
	l := Layer{Op: Conv, In: in, Inputs: []int{v.layer}, Out: Shape{C: int(w[0])}, Reuses: reused}
	group := int64(1)
	if a, ok := n.Attribute("group").(int64); ok {
		group = a
	}
	switch {
	case group == 1 && w[1] != int64(in.C):
		return fmt.Errorf("its weights are for %d input channels, its input has %d", w[1], in.C)
	case group == 1:
	case group == int64(in.C) && w[0] == group && w[1] == 1:
		l.Op = Depthwise
	default:
		return fmt.Errorf("%d groups for %d input and %d output channels: only 1, or as many as there are channels, are supported", group, in.C, w[0])
	}
	if err := window(n, &l, w[2], w[3]); err != nil {
		return err
	}
	if l.Op == Conv && l.Kernel == Square(1) && l.Stride == Square(1) && l.Pad == (Padding{}) {
		l.Op = Pointwise
	}
	return g.push(n, l, false)
}

// window reads kernel, stride and padding, and sets the result's rows and
// columns. Where the two sides are padded differently it takes the padding of
// both that gives the same result.
func window(n *onnx.Node, l *Layer, kh, kw int64) error {
	if kh != kw || kh < 1 || kh > 1<<12 {
		return fmt.Errorf("a %d×%d window: only square ones, up to 4096, are supported", kh, kw)
	}
	l.Kernel, l.Stride = Square(int(kh)), Square(1)
	if s, ok := n.Attribute("strides").([]int64); ok {
		if len(s) != 2 || s[0] != s[1] || s[0] < 1 || s[0] > 1<<20 {
			return fmt.Errorf("strides %v: only two equal ones are supported", s)
		}
		l.Stride = Square(int(s[0]))
	}
	if d, ok := n.Attribute("dilations").([]int64); ok && slices.ContainsFunc(d, func(v int64) bool { return v != 1 }) {
		return fmt.Errorf("dilations %v are not supported", d)
	}
	pads := []int64{0, 0, 0, 0}
	if p, ok := n.Attribute("pads").([]int64); ok {
		pads = p
	}
	if len(pads) != 4 || slices.Min(pads) < 0 || slices.Max(pads) >= kh {
		return fmt.Errorf("pads %v: want four, each below the kernel's %d", pads, kh)
	}
	height, width := l.In.H+int(pads[0]+pads[2])-l.Kernel.H, l.In.W+int(pads[1]+pads[3])-l.Kernel.W
	up := false
	switch auto, _ := n.Attribute("auto_pad").(string); auto {
	case "SAME_UPPER", "SAME_LOWER":
		up = true
	}
	if c, ok := n.Attribute("ceil_mode").(int64); ok && c != 0 && !up {
		height, width = height+l.Stride.H-1, width+l.Stride.W-1
	}
	out := Shape{C: l.Out.C, H: height/l.Stride.H + 1, W: width/l.Stride.W + 1}
	if up {
		out.H, out.W = (l.In.H+l.Stride.H-1)/l.Stride.H, (l.In.W+l.Stride.W-1)/l.Stride.W
	} else if height < 0 || width < 0 {
		return fmt.Errorf("a %d×%d window does not fit in its input of %v", kh, kw, l.In)
	}
	for pad := range l.Kernel.H {
		l.Pad = Around(pad)
		if s, err := l.result(); err == nil && s == out {
			l.Out = out
			return nil
		}
	}
	return fmt.Errorf("pads %v make %v of %v: no equal padding of both sides does", pads, out, l.In)
}

func (g *importer) linear(n *onnx.Node) error {
	v, in, err := g.data(n)
	if err != nil {
		return err
	}
	w, reused, err := g.weights(n, 2)
	if err != nil {
		return err
	}
	if t, _ := n.Attribute("transB").(int64); t != 0 {
		w = []int64{w[1], w[0]}
	}
	if !v.flat && (in.H > 1 || in.W > 1) {
		return fmt.Errorf("its input is a map of %v, not a vector", in)
	}
	if int(w[0]) != in.Size() {
		return fmt.Errorf("its weights are for %d inputs, its input has %d", w[0], in.Size())
	}
	return g.push(n, Layer{Op: Linear, Kernel: Square(1), Stride: Square(1), Biases: int(w[1]), In: in, Inputs: []int{v.layer}, Out: Shape{int(w[1]), 1, 1}, Reuses: reused}, true)
}

func (g *importer) pool(n *onnx.Node) error {
	v, in, err := g.data(n)
	if err != nil {
		return err
	}
	if v.flat {
		return fmt.Errorf("its input was made a vector")
	}
	l := Layer{Op: Pool, Stride: Square(1), In: in, Inputs: []int{v.layer}, Out: Shape{in.C, 1, 1}, Kernel: Extent{in.H, in.W}}
	switch n.Op {
	case "ReduceMean":
		if err := g.overRowsAndColumns(n); err != nil {
			return err
		}
		keep, ok := n.Attribute("keepdims").(int64)
		return g.push(n, l, ok && keep == 0)
	case "AveragePool", "MaxPool":
		k, ok := n.Attribute("kernel_shape").([]int64)
		if !ok || len(k) != 2 {
			return fmt.Errorf("kernel_shape %v: want two numbers", k)
		}
		if err := window(n, &l, k[0], k[1]); err != nil {
			return err
		}
	}
	return g.push(n, l, false)
}

// overRowsAndColumns fails unless the axes that the node reduces are those of rows and
// columns. Since opset 18 they are an input. Without any, all axes are reduced.
func (g *importer) overRowsAndColumns(n *onnx.Node) error {
	axes, ok := n.Attribute("axes").([]int64)
	if len(n.Inputs) > 1 && n.Inputs[1] != "" {
		c, constant := g.constants[n.Inputs[1]]
		if axes, ok = c.ints, constant && c.ints != nil; !ok {
			return fmt.Errorf("its axes, %q, are not a constant in the model: export it with constant axes", n.Inputs[1])
		}
	}
	if !ok {
		return fmt.Errorf("it has no axes, and so reduces channels as well: only rows and columns are supported")
	}
	const dimensions = 4
	var reduced [dimensions]bool
	for _, a := range axes {
		if a < -dimensions || a >= dimensions {
			return fmt.Errorf("axes %v: a map has %d", axes, dimensions)
		}
		reduced[(a+dimensions)%dimensions] = true
	}
	if reduced != [dimensions]bool{2: true, 3: true} {
		return fmt.Errorf("axes %v: only rows and columns, 2 and 3, are supported", axes)
	}
	return nil
}

// elementwise is a residual add of two maps, or a cheap operation with a
// constant or with the same map, as parts of activation functions are.
func (g *importer) elementwise(n *onnx.Node, maps []value) error {
	if slices.ContainsFunc(maps, func(v value) bool { return v.sizes }) {
		return fmt.Errorf("it computes with sizes, which is not supported")
	}
	switch {
	case len(maps) == 1 || len(maps) == 2 && maps[0] == maps[1] && n.Op != "Add" && n.Op != "Sum":
		return g.alias(n, maps[0])
	case len(maps) == 2 && (n.Op == "Add" || n.Op == "Sum" || n.Op == "Sub"):
		a, b := g.net.shape(maps[0].layer), g.net.shape(maps[1].layer)
		if a != b {
			return fmt.Errorf("its operands are %v and %v: only equal shapes are supported", a, b)
		}
		inputs := []int{maps[0].layer, maps[1].layer}
		slices.Sort(inputs)
		return g.push(n, Layer{Op: Add, Kernel: Square(1), Stride: Square(1), In: a, Out: a, Inputs: inputs}, maps[0].flat)
	}
	return fmt.Errorf("of two maps it is not supported")
}

// reshape passes on a map that is made a vector or keeps its shape.
func (g *importer) reshape(n *onnx.Node, v value) error {
	in := g.net.shape(v.layer)
	if v.sizes {
		return fmt.Errorf("its first input holds sizes, no map")
	}
	v.flat = v.flat || in.H == 1 && in.W == 1 || n.Op == "Reshape"
	if !v.flat {
		return fmt.Errorf("it reshapes a map of %v, which is not supported", in)
	}
	return g.alias(n, v)
}
