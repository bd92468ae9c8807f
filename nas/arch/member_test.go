package arch

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A scaled MobileNetV2 is a subnet of a space: its layers are those of the scaled backbone.
func TestMemberOfScaledBackbone(t *testing.T) {
	odd := MobileNetV2()
	odd.Groups = []Group{{1, 16, 2, 1}, {4, 24, 1, 2}, {6, 32, 5, 2}, {3, 64, 2, 1}}
	plain := MobileNetV2()
	plain.Groups = []Group{{1, 16, 1, 1}, {1, 24, 2, 2}}
	for _, s := range []Spec{
		{Width: 1, Resolution: 224},
		{Width: 0.5, Resolution: 160},
		{Width: 0.35, Resolution: 96, Scaling: PublishedScaling},
		{Width: 1.4, Resolution: 33, Scaling: FullScaling, Rounding: Rounding{Mode: Up, Divisor: 4}},
		{Widths: Widths{0.3, 0.3, 0.3, 0.3, 1.5, 1.0, 0.9, 0.6, 0.6}, Resolution: 224},
		{Backbone: &odd, Width: 0.75, Resolution: 64},
		{Backbone: &plain, Width: 0.75, Resolution: 64},
	} {
		want, err := s.Network()
		if err != nil {
			t.Fatal(err)
		}
		space, subnet, err := s.Member()
		if err != nil {
			t.Fatalf("%s: %v", want.Name, err)
		}
		if err := space.Validate(); err != nil {
			t.Errorf("%s: %v", want.Name, err)
		}
		if got := space.Network(subnet); !reflect.DeepEqual(got.Layers, want.Layers) || got.Input != want.Input {
			t.Errorf("%s: the subnet has other layers", want.Name)
		}
	}
	space, _, err := Spec{Width: 1, Resolution: 224}.Member()
	if err != nil || !slices.Equal(space.Expansions, []int{6}) || !slices.Equal(space.Depths, []int{2, 3, 4}) || !slices.Equal(space.Kernels, []int{3}) {
		t.Errorf("MobileNetV2's space has expansions %v, depths %v, kernels %v; %v", space.Expansions, space.Depths, space.Kernels, err)
	}
}

// A subnet is the same network in a space around it, which has no choice beside its own.
func TestMemberOfSpace(t *testing.T) {
	space := testSpace()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		n := space.Sample(rng)
		around, same, err := Spec{Space: &space, Subnet: &n}.Member()
		if err != nil || !same.Equal(n) {
			t.Fatal(err)
		}
		if err := around.Validate(); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(around.Network(n), space.Network(n)) {
			t.Errorf("%v: the layers are others in the space around it", n)
		}
		for _, k := range around.Kernels {
			if !strings.Contains(n.String(), "×"+string(rune('0'+k))) {
				t.Errorf("%v: the space around it has kernel %d", n, k)
			}
		}
	}
}

// What is given by its layers or in a file is no subnet.
func TestNoMember(t *testing.T) {
	for want, s := range map[string]Spec{
		"its layers are given": {Input: Shape{3, 8, 8}, Layers: []LayerSpec{{Op: Pool}}},
		"write one of":         {},
		"resolution":           {Width: 1},
	} {
		if _, _, err := s.Member(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s …", err, want)
		}
	}
}
