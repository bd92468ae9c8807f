package arch

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
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
