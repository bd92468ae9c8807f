package nn

import (
	"eyrie/nas/arch"
	"eyrie/nas/data"
)

// Adopt sets the weights that subnet n has to those that it has in another supernet, which
// must hold it: see [About.Holds]. Smaller kernels are as the other's transforms make them,
// and s's own become the identity. It reports whether the classifier was taken, too: one of
// other classes stays as it is.
func (s *Supernet) Adopt(from *Supernet, n arch.Subnet) (classifier bool) {
	theirs := from.bound(n)
	for i, l := range s.bound(n).layers {
		l.adopt(theirs.layers[i])
	}
	if classifier = s.out.classes == from.out.classes; classifier {
		copy(s.out.weight.value, from.out.weight.value)
		copy(s.out.bias.value, from.out.bias.value)
	}
	s.changed()
	return classifier
}

// bound returns a workspace to which the subnet is bound, at whichever resolution.
func (s *Supernet) bound(n arch.Subnet) *workspace {
	w, r, c := newWorkspace(s, nil), s.space.Resolutions[0], s.space.Backbone.Input
	n.Resolution = r
	w.bind(n, &data.Batch{N: 1, H: r, W: r, C: c, X: make([]float32, r*r*c)})
	return w
}

// adopt takes the weights of the same layer of another supernet.
func (l *layer) adopt(from *layer) {
	copy(l.gamma.value[:l.out], from.gamma.value)
	copy(l.beta.value[:l.out], from.beta.value)
	if l.op != arch.Depthwise {
		for row := range l.kernel * l.kernel * l.in {
			copy(l.weight.value[row*l.maxOut:][:l.out], from.weight.value[row*from.maxOut:])
		}
		return
	}
	centre := transform{from: l.maxK, to: l.kernel}
	taps, ld := from.kernelTaps(&plain)
	for tap := range l.kernel * l.kernel {
		copy(l.weight.value[centre.source(tap)*l.maxOut:][:l.out], taps[tap*ld:])
	}
	for _, t := range l.transforms {
		t.matrix.identity()
	}
}
