package arch

import "testing"

// Each way to describe a network yields it, under its derived or given name.
func TestSpec(t *testing.T) {
	space := testSpace()
	subnet := space.Smallest()
	b := MobileNetV2()
	layers := b.Scale(b.Uniform(0.5), 64, Rounding{})
	for _, c := range []struct {
		spec Spec
		name string
		macs int64
	}{
		{Spec{Width: 0.5, Resolution: 160}, "MobileNetV2 0.5@160", b.Scale(b.Uniform(0.5), 160, Rounding{}).MACs()},
		{Spec{Width: 0.35, Resolution: 96, Scaling: "published"}, "MobileNetV2 0.35@96", b.Scale(b.Published(0.35), 96, Rounding{}).MACs()},
		{Spec{Name: "baseline", Widths: b.Scaled(2), Resolution: 32}, "baseline", b.Scale(b.Scaled(2), 32, Rounding{}).MACs()},
		{Spec{Space: &space, Subnet: &subnet}, "subnet@96", space.Network(subnet).MACs()},
		{Spec{Input: layers.Input, Layers: layers.Layers}, "64 layers", layers.MACs()},
	} {
		n, err := c.spec.Network()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if n.Name != c.name || n.MACs() != c.macs {
			t.Errorf("got %q with %d MACs, want %q with %d", n.Name, n.MACs(), c.name, c.macs)
		}
	}
}

// A spec that describes no network, or two, is refused with what to write.
func TestSpecRefuses(t *testing.T) {
	space := testSpace()
	subnet := space.Smallest()
	wrong := subnet.Clone()
	wrong.Resolution = 100
	const which = "write one of: width (or widths) and resolution; space and subnet; input and layers"
	for want, spec := range map[string]Spec{
		which: {},
		"resolution: must be written: the input size in pixels, such as 160": {Width: 1},
		"widths: width is written, too: want one of them":                    {Width: 1, Widths: Widths{1}, Resolution: 1},
		"widths: got 1 multipliers, want 9: the stem, 7 groups, the head":    {Widths: Widths{1}, Resolution: 1},
		"space: must be written: the space that the subnet is of":            {Subnet: &subnet},
		"subnet: resolution 100 is not one of [96 128]":                      {Space: &space, Subnet: &wrong},
		`layer "a": pool reads 0 maps, want 1`:                               {Layers: []Layer{{Name: "a", Op: Pool}}},
		"backbone: a backbone needs at least one group":                      {Width: 1, Resolution: 1, Backbone: &Backbone{1, Stem{1, 1, 1}, nil, 1, 1}},
	} {
		if err := spec.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := (Spec{Width: 1, Resolution: 1, Space: &space, Subnet: &subnet}).Validate(); err == nil || err.Error() != which {
		t.Errorf("got %v, want %s", err, which)
	}
}
