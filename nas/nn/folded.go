package nn

import (
	"context"
	"fmt"

	"eyrie/nas/arch"
	"eyrie/nas/data"
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
	return append(list, v.out.plain()), nil
}

// plain returns the classifier.
func (c *classifier) plain() Folded {
	f := Folded{Name: "classifier", Bias: append([]float32(nil), c.bias.value...)}
	for o := range c.classes {
		for i := range c.features {
			f.Weight = append(f.Weight, c.weight.value[i*c.classes+o])
		}
	}
	return f
}

// Names of a layer's statistics among tensors.
const meanOf, varianceOf = ".mean", ".var"

// Fold returns the layers of a subnet as [Evaluator.Folded] does, with the statistics that
// another backend has estimated: "<layer>.mean" and "<layer>.var".
func (s *Supernet) Fold(n arch.Subnet, statistics Tensors) ([]Folded, error) {
	w := newWorkspace(s, nil)
	b := s.space.Backbone
	w.bind(n, &data.Batch{N: 1, H: n.Resolution, W: n.Resolution, C: b.Input, X: make([]float32, n.Resolution*n.Resolution*b.Input)})
	var list []Folded
	for _, l := range w.layers {
		mean, variance := statistics[l.name+meanOf], statistics[l.name+varianceOf]
		if len(mean) != l.out || len(variance) != l.out {
			return nil, fmt.Errorf("layer %s: statistics of %d and %d channels, want %d", l.name, len(mean), len(variance), l.out)
		}
		copy(l.mean, mean)
		copy(l.variance, variance)
		l.affine()
		list = append(list, l.plain(&plain))
	}
	return append(list, w.out.plain()), nil
}

// SetRunning sets the running statistics of the layers to those of the main subnet, named
// as for [Supernet.Fold].
func (s *Supernet) SetRunning(statistics Tensors) error {
	for _, l := range s.all() {
		for name, dst := range map[string][]float32{meanOf: l.runMean, varianceOf: l.runVar} {
			v := statistics[l.name+name]
			if len(v) > l.maxOut || len(v) < l.maxOut && s.Network == nil {
				return fmt.Errorf("layer %s: statistics of %d channels, want %d", l.name, len(v), l.maxOut)
			}
			copy(dst, v)
		}
	}
	return nil
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
