package nn

import (
	"context"

	"eyrie/nas/arch"
)

// Folded is a layer of a subnet as it is deployed: batch normalisation is folded
// into its weights, which are in PyTorch's and ONNX's layout.
type Folded struct {
	Name   string    // as in arch.Space.Network
	Weight []float32 // [out, in, k, k]; of a depthwise layer [out, 1, k, k], of the classifier [out, in]
	Bias   []float32 // [out]
	ReLU6  bool      // clamped to 0 … 6 afterwards
}

// Folded returns the layers of a subnet that have weights, in order, with newly
// estimated statistics.
func (v *Evaluator) Folded(ctx context.Context, n arch.Subnet) ([]Folded, error) {
	var list []Folded
	err := v.calibrate(ctx, []arch.Subnet{n}, func(int) {
		for _, l := range v.layers {
			list = append(list, l.plain(v.k))
		}
	})
	if err != nil {
		return nil, err
	}
	c := v.out
	f := Folded{Name: "classifier", Bias: append([]float32(nil), c.bias.value...)}
	for o := range c.classes {
		for i := range c.features {
			f.Weight = append(f.Weight, c.weight.value[i*c.classes+o])
		}
	}
	return append(list, f), nil
}

// plain returns the bound layer, whose scale and shift have been set.
func (l *layer) plain(k *kernels) Folded {
	f := Folded{Name: l.name, Bias: append([]float32(nil), l.shift[:l.out]...), ReLU6: l.relu}
	taps, in := l.kernel*l.kernel, l.in
	w, ld := l.weight.value, l.maxOut
	if l.op == arch.Depthwise {
		w, ld = l.kernelTaps(k)
		in = 1
	}
	for o := range l.out {
		for i := range in {
			for tap := range taps {
				f.Weight = append(f.Weight, w[(tap*in+i)*ld+o]*l.scale[o])
			}
		}
	}
	return f
}
