package arch

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/onnx"
)

// Networks that PyTorch exported have exactly the MACs and parameters that were counted on
// the PyTorch modules, and the same layers however they were exported. scripts/real-networks
// makes the files; EYRIE_NETWORKS is a directory with more of them.
func TestRealNetworks(t *testing.T) {
	dir := cmp.Or(os.Getenv("EYRIE_NETWORKS"), "testdata/real")
	var expected map[string]struct{ MACs, Params int64 }
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err == nil {
		err = json.Unmarshal(text, &expected)
	}
	if err != nil || len(expected) == 0 {
		t.Fatalf("%d networks, %v", len(expected), err)
	}
	read := func(name string) (Network, error) {
		file := artifacts.Local(filepath.Join(dir, name+".onnx"))
		s := Spec{ONNX: &file}
		switch base, variant, _ := strings.Cut(name, "@"); {
		case variant == "any" && base == "odds":
			s.Input = Shape{3, 32, 32}
		case variant == "any":
			s.Resolution = 224
		}
		return s.Network()
	}
	for name, want := range expected {
		n, err := read(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n.MACs() != want.MACs || n.Params() != want.Params {
			t.Errorf("%s: %d MACs, %d parameters; want %d, %d", name, n.MACs(), n.Params(), want.MACs, want.Params)
		}
		base, variant, _ := strings.Cut(name, "@")
		if _, ok := expected[base]; variant == "" || !ok {
			continue
		}
		same, err := read(base)
		if err != nil {
			continue // said above
		}
		if got, want := unnamed(n), unnamed(same); !reflect.DeepEqual(got, want) {
			t.Errorf("%s has not the layers of %s", name, base)
			for i := range min(len(got), len(want)) {
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Errorf("the first that differs:\n%+v\n%+v", got[i], want[i])
					break
				}
			}
		}
	}
}

// unnamed returns the layers in an order that does not depend on that of the nodes, without
// what they are called and which of them they read.
func unnamed(n Network) []Layer {
	layers := slices.Clone(n.Layers)
	for i := range layers {
		l := &layers[i]
		l.Name, l.Block, l.Inputs = "", "", make([]int, len(l.Inputs))
	}
	slices.SortStableFunc(layers, func(a, b Layer) int {
		return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.MACs(), b.MACs()), cmp.Compare(a.In.Size(), b.In.Size()), cmp.Compare(a.Out.Size(), b.Out.Size()),
			cmp.Compare(a.In.H, b.In.H), cmp.Compare(a.Out.H, b.Out.H), cmp.Compare(a.In.C, b.In.C), cmp.Compare(len(a.Others), len(b.Others)))
	})
	return layers
}

// However a real file is spoilt, the importer neither panics nor accepts what is
// inconsistent.
func TestONNXSpoilt(t *testing.T) {
	files, err := filepath.Glob("testdata/real/*.onnx")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	sizes := []int64{-9, -2, -1, 0, 1, 2, 3, 7, 1 << 20, 1 << 31, 1 << 40, math.MinInt64, math.MaxInt64}
	anySize := func() int64 { return sizes[rng.IntN(len(sizes))] }
	ops := slices.Sorted(maps.Keys(operators))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for range max(5, 1_000_000/len(b)) {
			m, err := onnx.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			g := &m.Graph
			for range 1 + rng.IntN(3) {
				n := &g.Nodes[rng.IntN(len(g.Nodes))]
				other := g.Nodes[rng.IntN(len(g.Nodes))]
				switch rng.IntN(7) {
				case 0:
					n.Op = ops[rng.IntN(len(ops))]
				case 1:
					if len(n.Inputs) > 0 {
						n.Inputs[rng.IntN(len(n.Inputs))] = other.Outputs[0]
					}
				case 2:
					n.Inputs = n.Inputs[:rng.IntN(len(n.Inputs)+1)]
				case 3:
					if len(n.Attributes) > 0 {
						switch a := &n.Attributes[rng.IntN(len(n.Attributes))]; v := a.Value.(type) {
						case []int64:
							if len(v) > 0 {
								v[rng.IntN(len(v))] = anySize()
							}
						case int64:
							a.Value = anySize()
						default:
							a.Value = nil
						}
					}
				case 4:
					if c := &g.Initializers[rng.IntN(len(g.Initializers))]; len(c.Ints) > 0 {
						c.Ints[rng.IntN(len(c.Ints))] = anySize()
					}
				case 5:
					if c := &g.Initializers[rng.IntN(len(g.Initializers))]; len(c.Shape) > 0 && c.External {
						c.Shape[rng.IntN(len(c.Shape))] = anySize()
					}
				case 6:
					d := g.Inputs[0].Shape
					d[rng.IntN(len(d))].Size = anySize()
				}
			}
			if n, err := FromONNX(m, Shape{}); err == nil && n.Validate() != nil {
				t.Errorf("%s: accepted %v", name, n.Validate())
			}
		}
	}
}
