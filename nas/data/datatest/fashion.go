package datatest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"eyrie/nas/data"
)

// FashionMNIST returns a set of the first train training and test test images of
// Fashion-MNIST, in a temporary directory. Where scripts/fashion-mnist has not put
// them into data/fashion-mnist the test is skipped; in CI it fails.
func FashionMNIST(t testing.TB, train, test int) data.Set {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(file), "../../../data/fashion-mnist")
	if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skip("Fashion-MNIST is missing: scripts/fashion-mnist data/fashion-mnist")
	}
	dir := t.TempDir()
	set := data.Set{Name: "fashion-mnist", Classes: 10, Channels: 1, Size: 28}
	part := func(name string, n int) (data.Part, data.Stats) {
		images := open(t, filepath.Join(source, name+"-images-idx3-ubyte.gz"), 3)
		labels := open(t, filepath.Join(source, name+"-labels-idx1-ubyte.gz"), 1)
		w, err := data.Create(filepath.Join(dir, name), set.Size, set.Size, 1, set.Classes)
		if err != nil {
			t.Fatal(err)
		}
		pixels, label := make([]byte, images.ItemSize()), make([]byte, 1)
		for range n {
			if err := errors.Join(images.Next(pixels), labels.Next(label), w.Add(pixels, int(label[0]))); err != nil {
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
	set.Train, stats = part("train", train)
	set.Test, _ = part("t10k", test)
	set.Mean, set.Std = stats.MeanStd()
	return set
}

// open opens an IDX file until the test ends.
func open(t testing.TB, path string, dims int) *data.IDX {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	x, err := data.OpenIDX(f, dims)
	if err != nil {
		t.Fatal(err)
	}
	return x
}
