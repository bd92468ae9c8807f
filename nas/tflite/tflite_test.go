package tflite_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/nas/tflite"
)

// files are models that TensorFlow converted.
func files(t testing.TB) (all [][]byte) {
	t.Helper()
	names, err := filepath.Glob("../arch/testdata/tflite/*.tflite")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// What is read of a file is what it says.
func TestParse(t *testing.T) {
	b, err := os.ReadFile("../arch/testdata/tflite/odds.tflite")
	if err != nil {
		t.Fatal(err)
	}
	m, err := tflite.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Inputs) != 1 || !slices.Equal(m.Tensors[m.Inputs[0]].Shape, []int{1, 24, 20, 4}) {
		t.Errorf("inputs %v", m.Inputs)
	}
	conv := m.Operators[0]
	if o := conv.Options; conv.Name != "CONV_2D" || o.Same || o.StrideH != 2 || o.StrideW != 1 || o.DilationH != 1 {
		t.Errorf("the first operator is %+v", conv)
	}
	if o := m.Operators[1].Options; !o.Same || o.DilationH != 2 || o.DilationW != 2 {
		t.Errorf("the second operator is %+v", m.Operators[1])
	}
	var pads []int64
	for _, o := range m.Operators {
		if o.Name == "PAD" {
			pads = m.Tensors[o.Inputs[1]].Ints
		}
	}
	if !slices.Equal(pads, []int64{0, 0, 2, 1, 0, 3, 0, 0}) {
		t.Errorf("paddings %v", pads)
	}
}

// What is no model is refused with a reason.
func TestParseRefuses(t *testing.T) {
	b := files(t)[0]
	for what, b := range map[string][]byte{"nothing": nil, "text": []byte("a text of some length"), "half": b[:len(b)/2], "the identifier alone": b[:8]} {
		if m, err := tflite.Parse(b); err == nil || !strings.HasPrefix(err.Error(), "not a TensorFlow Lite model: ") {
			t.Errorf("%s: got %v, %v", what, m, err)
		}
	}
}

// However a file is spoilt, it does not make Parse panic.
func TestSpoilt(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, b := range files(t) {
		for range 300 {
			c := slices.Clone(b)
			for range 1 + rng.IntN(3) {
				c[8+rng.IntN(len(c)-8)] = byte(rng.Uint32())
			}
			tflite.Parse(c[:8+rng.IntN(len(c)-7)])
			tflite.Parse(c)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range files(f) {
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) { tflite.Parse(b) })
}
