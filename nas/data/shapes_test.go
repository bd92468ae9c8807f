package data

import (
	"crypto/sha256"
	"fmt"
	"math"
	"testing"
)

// The same scene comes out to the bit on every machine. A change of this
// digest is a change of the dataset stage's results: bump its version.
func TestShapesGolden(t *testing.T) {
	const want = "9fd7400940b016aa55f50f2813f89af7025884ea68d5f8ea5bac0a0a76aee952"
	g := Shapes{Seed: 1, Size: 24, Noise: 0.1}
	h := sha256.New()
	img := make([]byte, 24*24*3)
	for i := range 24 {
		if label := g.Render(i, img); label != i%12 {
			t.Errorf("image %d has label %d", i, label)
		}
		h.Write(img)
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// One scene at two sizes is one picture: reduced to the same size they differ
// by no more than sampling.
func TestShapesAnySize(t *testing.T) {
	small, large := Shapes{Seed: 5, Size: 16}, Shapes{Seed: 5, Size: 64}
	var a, b Batch
	for i := range 12 {
		v := View{Resolution: 16}
		if err := small.Split(i, 1).Batch(t.Context(), []int{0}, v, &a); err != nil {
			t.Fatal(err)
		}
		if err := large.Split(i, 1).Batch(t.Context(), []int{0}, v, &b); err != nil {
			t.Fatal(err)
		}
		var diff float64
		for k := range a.X {
			diff += math.Abs(float64(a.X[k] - b.X[k]))
		}
		if diff /= float64(len(a.X)); diff > 0.2 { // of a range of 4
			t.Errorf("image %d: mean difference %.3f between sizes", i, diff)
		}
	}
}

// No single feature tells the classes apart: neither the mean colour nor the
// distance to the class's mean image comes near to all of them.
func TestShapesNotTrivial(t *testing.T) {
	const n, classes = 600, 12
	var train, test Batch
	g := Shapes{Seed: 9, Size: 16, Noise: 0.1}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	for first, dst := range map[int]*Batch{0: &train, n: &test} {
		if err := g.Split(first, n).Batch(t.Context(), all, View{Resolution: 16}, dst); err != nil {
			t.Fatal(err)
		}
	}
	size := len(train.X) / n
	means := make([][]float64, classes)
	for c := range means {
		means[c] = make([]float64, size)
	}
	for i := range n {
		for k := range size {
			means[train.Labels[i]][k] += float64(train.X[i*size+k]) * classes / n
		}
	}
	right := 0
	for i := range n {
		best, at := math.Inf(1), 0
		for c, m := range means {
			var dist float64
			for k := range size {
				d := float64(test.X[i*size+k]) - m[k]
				dist += d * d
			}
			if dist < best {
				best, at = dist, c
			}
		}
		if at == int(test.Labels[i]) {
			right++
		}
	}
	t.Logf("nearest class mean: %.1f %%", 100*float64(right)/n)
	if right > n*6/10 {
		t.Errorf("nearest class mean is right for %d of %d images: too easy", right, n)
	}
}

func BenchmarkShapes(b *testing.B) {
	g := Shapes{Seed: 1, Size: 32, Noise: 0.1}
	img := make([]byte, 32*32*3)
	for i := 0; b.Loop(); i++ {
		g.Render(i, img)
	}
}
