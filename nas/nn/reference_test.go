package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/data"
)

// reference runs a subnet with the naive implementation.
type reference struct {
	tape
	tensors map[string]*tensor
	space   arch.Space
}

func newReference(s *Supernet) *reference {
	r := &reference{tensors: map[string]*tensor{}, space: s.space}
	for _, t := range s.tensors() {
		n := newTensor(t.shape...)
		for i, v := range t.data {
			n.v[i] = float64(v)
		}
		r.tensors[t.name] = n
	}
	return r
}

func (r *reference) unit(x *tensor, name string, w *tensor, stride, groups int, relu bool) *tensor {
	o := w.shape[0]
	head := func(n string) *tensor { return r.first(r.tensors[name+n], o) }
	y := r.norm(r.conv(x, w, stride, w.shape[2]/2, groups), head(".bn.weight"), head(".bn.bias"))
	if relu {
		y = r.relu6(y)
	}
	return y
}

// first takes the first n of a vector.
func (r *reference) first(v *tensor, n int) *tensor {
	y := newTensor(n)
	copy(y.v, v.v)
	y.back = func() {
		for i, g := range y.g {
			v.g[i] += g
		}
	}
	return r.push(y)
}

// logits returns the logits of subnet n on images x, channels innermost.
func (r *reference) logits(n arch.Subnet, images []float32) *tensor {
	b := r.space.Backbone
	size := n.Resolution
	c := b.Input
	x := newTensor(len(images)/(size*size*c), c, size, size)
	for i, v := range images {
		img, pix, ch := i/(size*size*c), i/c%(size*size), i%c
		x.v[(img*c+ch)*size*size+pix] = float64(v)
	}
	x = r.unit(x, "stem", r.tensors["stem.weight"], b.Stem.Stride, 1, true)
	_, widths, _ := b.Channels(r.space.Widths, r.space.Rounding)
	for i, g := range n.Groups {
		stride := b.Groups[i].Stride
		for j, choice := range g {
			x = r.block(x, fmt.Sprintf("g%d.b%d", i+1, j+1), choice, widths[i], stride)
			stride = 1
		}
	}
	x = r.unit(x, "head", r.tensors["head.weight"], 1, 1, true)
	return r.linear(r.pool(x), r.tensors["classifier.weight"], r.tensors["classifier.bias"])
}

func (r *reference) block(x *tensor, name string, c arch.Block, out, stride int) *tensor {
	in := x.shape[1]
	mid := arch.Middle(in, c.Expansion)
	y := x
	if c.Expansion != 1 {
		y = r.unit(y, name+".expand", r.slice(r.tensors[name+".expand.weight"], mid, in, 1), 1, 1, true)
	}
	w := r.tensors[name+".depthwise.weight"]
	for k := w.shape[2]; k > c.Kernel; {
		var next int
		for n := range r.tensors {
			fmt.Sscanf(strings.TrimPrefix(n, fmt.Sprintf("%s.depthwise.transform.%dto", name, k)), "%d", &next)
			if next > 0 {
				break
			}
		}
		w = r.transform(r.slice(w, w.shape[0], 1, next), r.tensors[fmt.Sprintf("%s.depthwise.transform.%dto%d", name, k, next)])
		k = next
	}
	y = r.unit(y, name+".depthwise", r.slice(w, mid, 1, c.Kernel), stride, mid, true)
	y = r.unit(y, name+".project", r.slice(r.tensors[name+".project.weight"], out, mid, 1), 1, 1, false)
	if stride == 1 && in == out {
		y = r.add(x, y)
	}
	return y
}

// smallSpace has every kind of layer: strides 1 and 2, a group with t = 1 and
// with a residual connection, kernels of three sizes, widths that fill no
// vector.
func smallSpace() arch.Space {
	b := arch.Backbone{
		Input: 3, Stem: arch.Stem{Channels: 8, Kernel: 3, Stride: 2}, Classes: 5, Head: 24,
		Groups: []arch.Group{
			{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1},
			{Expansion: 6, Channels: 8, Repeats: 2, Stride: 2},
			{Expansion: 6, Channels: 16, Repeats: 2, Stride: 1},
		},
	}
	return arch.Space{
		Backbone: b, Widths: b.Scaled(1), Resolutions: []int{13, 16}, Expansions: []int{2, 3}, Depths: []int{1, 2}, Kernels: []int{3, 5, 7},
	}
}

// randomised gives every weight a random value, also those that begin as
// constants, so that no gradient vanishes.
func randomised(space arch.Space, seed uint64) *Supernet {
	s := New(space, seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, p := range s.ps.list {
		for i := range p.value {
			if strings.Contains(p.name, ".bn.") || strings.Contains(p.name, "transform") {
				p.value[i] += float32(rng.NormFloat64() * 0.3)
			}
		}
	}
	return s
}

func randomBatch(space arch.Space, n, resolution int, seed uint64) *data.Batch {
	rng := rand.New(rand.NewPCG(seed, 2))
	b := &data.Batch{N: n, H: resolution, W: resolution, C: space.Backbone.Input, X: make([]float32, n*resolution*resolution*space.Backbone.Input), Labels: make([]int32, n)}
	for i := range b.X {
		b.X[i] = float32(rng.NormFloat64())
	}
	for i := range b.Labels {
		b.Labels[i] = int32(rng.IntN(space.Backbone.Classes))
	}
	return b
}

// decisiveBatch returns a batch in which no activation lies so close to a bend of
// ReLU6 that rounding decides on which side of it, which would change the
// gradient by a jump.
func decisiveBatch(t *testing.T, s *Supernet, n arch.Subnet, images int) *data.Batch {
	t.Helper()
	e, err := NewEngine(1, "go")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	tr := NewTrainer(e, s)
	for seed := uint64(1); seed < 500; seed++ {
		b := randomBatch(s.space, images, n.Resolution, seed)
		tr.pass(n, b, Loss{}, nil)
		nearest := float32(1)
		for _, l := range tr.layers {
			for i, y := range l.y {
				if l.relu {
					z := l.scale[i%l.out]*y + l.shift[i%l.out]
					nearest = min(nearest, max(z, -z), max(z-6, 6-z))
				}
			}
		}
		if nearest > 1e-5 {
			return b
		}
	}
	t.Fatal("every batch has an activation at a bend")
	return nil
}

func eachEngine(t *testing.T, f func(t *testing.T, e *Engine)) {
	for _, name := range Kernels() {
		t.Run(name, func(t *testing.T) {
			e, err := NewEngine(2, Arithmetic(name))
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			f(t, e)
		})
	}
}

// relative returns the distance of a from b over the size of b. Elements below
// floor count as floor: the gradient of a shift that the next normalisation takes
// away again is zero but for rounding.
func relative(a []float32, b []float64, floor float64) float64 {
	d, n := 0.0, 0.0
	for i := range b {
		d += (float64(a[i]) - b[i]) * (float64(a[i]) - b[i])
		n += max(b[i]*b[i], floor*floor)
	}
	return math.Sqrt(d / n)
}

// The loss, the logits and the gradients of all shared weights of sampled
// subnets agree with the naive implementation.
func TestNetworkMatchesReference(t *testing.T) {
	space := smallSpace()
	eachEngine(t, func(t *testing.T, e *Engine) {
		rng := rand.New(rand.NewPCG(1, 4))
		for _, n := range []arch.Subnet{space.Largest(), space.Smallest(), space.Sample(rng), space.Sample(rng)} {
			s := randomised(space, 7)
			tr := NewTrainer(e, s)
			batch := decisiveBatch(t, s, n, 11)
			teacher := make([]float32, 11*5)
			for i := range teacher {
				teacher[i] = 0.2
			}
			loss := Loss{Hard: 0.7, Soft: 0.3, Smoothing: 0.1}
			got := tr.Grad(n, batch, loss, teacher)

			ref := newReference(s)
			z := ref.logits(n, batch.X)
			want := make([]float64, len(z.v))
			for i, l := range batch.Labels {
				for j := range 5 {
					want[i*5+j] = 0.7*0.1/5 + 0.3*0.2
				}
				want[i*5+int(l)] += 0.7 * 0.9
			}
			ce := ref.crossEntropy(z, want)
			ref.backward()
			if d := math.Abs(got.Loss - ce.v[0]); d > 1e-5 {
				t.Errorf("loss %v, want %v", got.Loss, ce.v[0])
			}
			if d := relative(tr.out.logits, z.v, 0); d > 1e-5 {
				t.Errorf("logits are off by %.2g", d)
			}
			for _, p := range s.ps.list {
				if d := relative(p.export(tr.sgd.grad.of(p)), ref.tensors[p.name].g, 1e-4); d > 1e-4 {
					t.Errorf("%v: gradient of %s is off by %.2g", n, p.name, d)
				}
			}
		}
	})
}

// The naive implementation's gradients are the finite differences of its loss:
// so are, by the test above, those of the kernels.
func TestReferenceGradientsAreFiniteDifferences(t *testing.T) {
	space := smallSpace()
	s := randomised(space, 5)
	n := space.Largest()
	n.Groups[1] = n.Groups[1][:1]
	n.Groups[2][0].Kernel, n.Groups[2][1].Kernel = 3, 5
	batch := randomBatch(space, 3, n.Resolution, 9)
	ref := newReference(s)
	want := make([]float64, 3*5)
	for i, l := range batch.Labels {
		want[i*5+int(l)] = 1
	}
	loss := func() float64 {
		ref.tape = nil
		return ref.crossEntropy(ref.logits(n, batch.X), want).v[0]
	}
	loss()
	ref.backward()
	rng := rand.New(rand.NewPCG(2, 2))
	checked := 0
	for _, p := range s.ps.list {
		w := ref.tensors[p.name]
		g := append([]float64(nil), w.g...)
		for range 4 {
			i := rng.IntN(len(w.v))
			const h = 1e-6
			keep := w.v[i]
			w.v[i] = keep + h
			up := loss()
			w.v[i] = keep - h
			down := loss()
			w.v[i] = keep
			if d := (up - down) / (2 * h); math.Abs(d-g[i]) > 1e-5*(1+math.Abs(d)) {
				t.Errorf("%s[%d]: gradient %g, finite difference %g", p.name, i, g[i], d)
			} else if d != 0 {
				checked++
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d gradients differ from zero", checked)
	}
}
