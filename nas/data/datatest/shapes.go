// Package datatest makes small data sets for tests.
package datatest

import (
	"path/filepath"
	"testing"

	"eyrie/nas/data"
)

// Shapes returns a set of generated shapes in a temporary directory: train training and
// test test images of size×size pixels.
func Shapes(t testing.TB, size, train, test int) data.Set {
	t.Helper()
	g := data.Shapes{Seed: 1, Size: size, Noise: 0.1}
	dir := t.TempDir()
	set := data.Set{Name: "shapes", ClassNames: data.ShapeClasses(), Classes: len(data.ShapeClasses()), Channels: 3, Size: size}
	part := func(name string, first, n int) (data.Part, data.Stats) {
		w, err := data.Create(filepath.Join(dir, name), size, size, 3, set.Classes)
		if err != nil {
			t.Fatal(err)
		}
		pixels := make([]byte, size*size*3)
		for i := range n {
			if err := w.Add(pixels, g.Render(first+i, pixels)); err != nil {
				t.Fatal(err)
			}
		}
		p, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		return p, w.Stats
	}
	var stats data.Stats
	set.Train, stats = part("train", 0, train)
	set.Test, _ = part("test", 1<<20, test)
	set.Mean, set.Std = stats.MeanStd()
	return set
}
