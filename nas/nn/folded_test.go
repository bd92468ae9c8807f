package nn

import (
	"context"
	"math/rand/v2"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/data"
)

// The folded layers, run by the definition of convolution over the layers of
// the subnet's network, give the logits of its model.
func TestFoldedIsTheModel(t *testing.T) {
	space := smallSpace()
	eachEngine(t, func(t *testing.T, e *Engine) {
		s := randomised(space, 11)
		split := pixels(space, 12, 16)
		v := NewEvaluator(e, s, split, split, 12)
		rng := rand.New(rand.NewPCG(4, 8))
		for range 5 {
			n := space.Sample(rng)
			layers, err := v.Folded(context.Background(), n)
			if err != nil {
				t.Fatal(err)
			}
			m, err := v.Model(context.Background(), n)
			if err != nil {
				t.Fatal(err)
			}
			var b data.Batch
			if err := split.Batch(context.Background(), []int{3}, data.View{Resolution: n.Resolution}, &b); err != nil {
				t.Fatal(err)
			}
			want := m.Logits(&b)
			got := runFolded(space.Network(n), layers, b.X)
			ref := make([]float64, len(want))
			for i := range ref {
				ref[i] = float64(want[i])
			}
			if d := relative(got, ref, 0); d > 1e-4 {
				t.Errorf("%v: logits are off by %.2g", n, d)
			}
		}
	})
}

// runFolded runs one image, rows × columns × channels, through the layers.
func runFolded(net arch.Network, layers []Folded, x []float32) []float32 {
	byName := map[string]Folded{}
	for _, f := range layers {
		byName[f.Name] = f
	}
	maps := [][]float32{x} // map i−1
	for _, l := range net.Layers {
		src := maps[l.Inputs[0]+1]
		dst := make([]float32, l.Out.Size())
		f := byName[l.Name]
		for i := range dst {
			o, c := i/l.Out.C, i%l.Out.C
			oy, ox := o/l.Out.W, o%l.Out.W
			sum := 0.0
			window := func(visit func(tap, at int)) {
				for ky := range l.Kernel.H {
					for kx := range l.Kernel.W {
						y, x := oy*l.Stride.H+ky-l.Pad.Top, ox*l.Stride.W+kx-l.Pad.Left
						if y >= 0 && y < l.In.H && x >= 0 && x < l.In.W {
							visit(ky*l.Kernel.W+kx, (y*l.In.W+x)*l.In.C)
						}
					}
				}
			}
			taps := l.Kernel.Size()
			switch l.Op {
			case arch.Conv, arch.Pointwise, arch.Linear:
				window(func(tap, at int) {
					for in := range l.In.C {
						sum += float64(f.Weight[(c*l.In.C+in)*taps+tap]) * float64(src[at+in])
					}
				})
			case arch.Depthwise:
				window(func(tap, at int) { sum += float64(f.Weight[c*taps+tap]) * float64(src[at+c]) })
			case arch.Pool:
				window(func(tap, at int) { sum += float64(src[at+c]) / float64(l.In.H*l.In.W) })
			case arch.Add:
				sum = float64(src[i]) + float64(maps[l.Inputs[1]+1][i])
			}
			if f.Bias != nil {
				sum += float64(f.Bias[c])
			}
			if f.ReLU6 {
				sum = min(6, max(0, sum))
			}
			dst[i] = float32(sum)
		}
		maps = append(maps, dst)
	}
	return maps[len(maps)-1]
}
