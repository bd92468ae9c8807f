package raptor

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"eyrie/nas/arch"
	"eyrie/nas/unit"
	"eyrie/pipeline/mistake"
)

// Platform is an NPU with its local memory, and what it takes to move data
// into it. In JSON, and so in a recipe, it is either complete or names a
// preset whose values the other fields replace:
//
//	platform = { preset = "tinyraptor", memory = "64KiB" }
type Platform struct {
	Preset         string  `json:"preset,omitempty" doc:"start from this preset; what else is written replaces its values"`
	Name           string  `json:"name,omitempty" doc:"what reports call it"`
	Clock          float64 `json:"clock,omitempty" unit:"Hz" doc:"clock of NPU and MCU"`
	PEs            int     `json:"pes,omitempty" doc:"processing elements: the most MAC per cycle"`
	Rates          Rates   `json:"rates,omitzero" doc:"MAC per cycle that each kind of layer reaches"`
	Memory         int64   `json:"memory,omitempty" unit:"bytes" doc:"local memory; for activations alone if there is a weight_memory"`
	WeightMemory   int64   `json:"weight_memory,omitempty" unit:"bytes" doc:"local memory for weights alone; 0 if they share memory"`
	WeightLimit    int64   `json:"weight_limit,omitempty" unit:"bytes" doc:"a layer with more weights is not supported (fully connected ones are streamed); 0 for no limit"`
	OutputCost     float64 `json:"output_cost,omitempty" doc:"NPU cycles per result of a layer with MACs, besides those of its MACs"`
	ElementRate    float64 `json:"element_rate,omitempty" doc:"values per cycle, read and written, of layers without MACs, such as sums and pools; 0: they take no time to compute"`
	Array          Array   `json:"array,omitzero" doc:"what the PEs compute at a time, as a block; nothing is rounded up where it is not written"`
	OutputRate     float64 `json:"output_rate,omitempty" doc:"results per cycle that a layer with MACs writes at most; 0 for no limit"`
	ActivationCost float64 `json:"activation_cost,omitempty" doc:"SYS cycles per byte of activations moved"`
	WeightCost     float64 `json:"weight_cost,omitempty" doc:"SYS cycles per byte of weights moved"`
	SpillCost      float64 `json:"spill_cost,omitempty" doc:"policy spill: further SYS cycles per byte of activations that does not fit in the local memory beside the rest of its layer"`
	TileCost       float64 `json:"tile_cost,omitempty" doc:"SYS cycles per tile"`
	Overlap        float64 `json:"overlap,omitempty" min:"0" max:"1" doc:"policy spill: how far computing, moving activations and moving what comes from outside (weights, and activations that have no room) hide each other within a layer: 0 one after the other, 1 the longest hides the others"`
	LayerCost      float64 `json:"layer_cost,omitempty" doc:"SYS cycles per layer"`
	Rereads        bool    `json:"rereads,omitempty" doc:"policy spill: what a layer's tiles read again is charged, too"`
	Free           Free    `json:"free,omitzero" doc:"what costs nothing"`
	OversizeCost   float64 `json:"oversize_cost,omitempty" doc:"SYS cycles to run a layer beyond weight_limit all the same"`
	DoubleBuffer   bool    `json:"double_buffer,omitempty" doc:"two buffers per operand: transfers overlap with computing"`
	Power          float64 `json:"power,omitempty" unit:"W" doc:"power while it runs"`
	Policy         Policy  `json:"policy,omitempty" doc:"layerwise: every map travels; resident: maps stay between layers that run untiled; mixed: also where a layer is tiled; spill: every map travels once, slowly what does not fit"`
	Scope          Scope   `json:"scope,omitempty" doc:"how far a map may stay: within a block, a group of blocks, the whole network"`
}

// Array is the block of results that an array of PEs computes at a time, from as many
// channels as it has of results: a layer's are rounded up to whole blocks.
type Array struct {
	Channels int `json:"channels,omitempty" doc:"channels, in and out"`
	Rows     int `json:"rows,omitempty" doc:"rows of the result"`
	Columns  int `json:"columns,omitempty" doc:"columns of the result"`
}

// Rates holds the MAC per cycle of each kind of layer.
type Rates struct {
	Conv      float64 `json:"conv,omitempty" doc:"k×k convolutions"`
	Depthwise float64 `json:"depthwise,omitempty" doc:"depthwise convolutions"`
	Pointwise float64 `json:"pointwise,omitempty" doc:"1×1 convolutions"`
	Linear    float64 `json:"linear,omitempty" doc:"fully connected layers"`
}

// Scope is how far a map may stay in the local memory.
type Scope string

// The scopes.
const (
	BlockScope   Scope = "block"
	GroupScope   Scope = "group"
	NetworkScope Scope = "network"
)

// Choices returns the scopes.
func (Scope) Choices() []string {
	return []string{string(BlockScope), string(GroupScope), string(NetworkScope)}
}

// UnmarshalJSON decodes a platform; a preset is resolved, so that the result
// is complete and names none.
func (p *Platform) UnmarshalJSON(b []byte) error {
	type plain Platform
	var named struct {
		Preset string `json:"preset"`
		Policy Policy `json:"policy"`
	}
	if err := json.Unmarshal(b, &named); err != nil {
		return err
	}
	base := *p
	if named.Preset != "" {
		var err error
		if base, err = Preset(named.Preset); err != nil {
			return mistake.At("preset", "%w", err)
		}
		if named.Policy != "" && !named.Policy.conduct().spills { // what only that policy has does not follow
			base.SpillCost, base.Rereads, base.Overlap = 0, false, 0
		}
	}
	if err := json.Unmarshal(b, (*plain)(&base)); err != nil {
		return err
	}
	base.Preset = ""
	*p = base
	return nil
}

// Validate returns the mistakes of the platform, a [mistake.List], or nil.
func (p Platform) Validate() error { return mistake.In(p) }

// Check reports what is missing, no quantity, or impossible. What is not written may
// come from a preset that is not known yet.
func (p Platform) Check(r *mistake.Report) {
	complete := r.Knows("preset")
	for _, c := range []struct {
		name  string
		value float64
		zero  bool // allowed to be zero
	}{
		{"clock", p.Clock, false}, {"pes", float64(p.PEs), false},
		{"rates.conv", p.Rates.Conv, false}, {"rates.depthwise", p.Rates.Depthwise, false},
		{"rates.pointwise", p.Rates.Pointwise, false}, {"rates.linear", p.Rates.Linear, false},
		{"memory", float64(p.Memory), false}, {"weight_memory", float64(p.WeightMemory), true}, {"weight_limit", float64(p.WeightLimit), true},
		{"output_cost", p.OutputCost, true}, {"output_rate", p.OutputRate, true}, {"element_rate", p.ElementRate, true},
		{"array.channels", float64(p.Array.Channels), true}, {"array.rows", float64(p.Array.Rows), true}, {"array.columns", float64(p.Array.Columns), true}, {"overlap", p.Overlap, true}, {"layer_cost", p.LayerCost, true},
		{"activation_cost", p.ActivationCost, true}, {"weight_cost", p.WeightCost, true}, {"spill_cost", p.SpillCost, true},
		{"tile_cost", p.TileCost, true}, {"oversize_cost", p.OversizeCost, true}, {"power", p.Power, true},
	} {
		in := r.In(c.name)
		switch {
		case !in.Knows():
		case math.IsNaN(c.value) || math.IsInf(c.value, 0) || c.value < 0:
			in.Badf("%v is not a quantity", c.value)
		case c.value == 0 && !c.zero && complete:
			in.Badf("must be above 0; write it, start from a preset (one of %s), or have calibrate fit it to measurements", strings.Join(Presets(), ", "))
		case strings.HasPrefix(c.name, "rates.") && r.Knows("pes") && p.PEs > 0 && c.value > float64(p.PEs):
			in.Badf("%v MAC per cycle are more than %d PEs do: want at most 1 each", c.value, p.PEs)
		case c.value != 0 && (c.value < 1e-12 || c.value > 1e15) && !strings.HasSuffix(c.name, "memory"):
			in.Badf("%v can hardly be meant: want a value from 1e-12 to 1e15", c.value)
		default:
			likely(in, c.name, c.value)
		}
	}
	if in := r.At("double_buffer"); in.Knows() && r.Knows("policy") && p.DoubleBuffer && p.Policy == Spill {
		in.Badf("with policy %q nothing is known of tiles: write overlap = 1, or how far transfers hide", Spill)
	}
	if in := r.At("overlap"); in.Knows() && p.Overlap > 1 {
		in.Badf("%v: want from 0, one after the other, to 1, the longest hides the others", p.Overlap)
	}
	if spills := p.Policy.conduct().spills; !spills && r.Knows("policy") {
		for _, c := range []struct {
			name    string
			written bool
		}{{"spill_cost", p.SpillCost > 0}, {"rereads", p.Rereads}, {"overlap", p.Overlap > 0}} {
			if in := r.In(c.name); in.Knows() && c.written && (complete || p.Policy != "") {
				in.Badf("belongs to policy %q, not to %q: remove it, or write that policy", Spill, p.Policy)
			}
		}
	}
	choice(r.At("policy"), string(p.Policy), p.Policy.Choices(), complete)
	choice(r.At("scope"), string(p.Scope), p.Scope.Choices(), complete)
}

// plausible are quantities beyond which a unit was forgotten or mistaken, as 150 for
// 150 MHz, or 200mHz, which are a fifth of a hertz.
var plausible = map[string]struct {
	least, most float64
	unit        string
	example     string
}{
	"clock": {1e3, 1e11, "Hz", "200MHz"},
	"power": {1e-9, 1e4, "W", "25mW"},
}

// likely reports a quantity that no platform has.
func likely(r *mistake.Report, name string, v float64) {
	write := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	q, ok := plausible[name]
	switch {
	case !ok || v == 0:
	case v < q.least:
		r.Badf("%s can hardly be meant: want at least %s; write the unit, as in %q", unit.SI(v, q.unit, write), unit.SI(q.least, q.unit, write), q.example)
	case v > q.most:
		r.Badf("%s can hardly be meant: want at most %s; write the unit, as in %q", unit.SI(v, q.unit, write), unit.SI(q.most, q.unit, write), q.example)
	}
}

func choice(r *mistake.Report, value string, choices []string, complete bool) {
	if r.Knows() && (complete || value != "") {
		r.Add(mistake.OneOf(value, choices))
	}
}

// rate returns the MAC per cycle of an operation.
func (p *Platform) rate(op arch.Op) float64 {
	switch op {
	case arch.Depthwise:
		return p.Rates.Depthwise
	case arch.Pointwise, arch.MatMul:
		return p.Rates.Pointwise
	case arch.Linear:
		return p.Rates.Linear
	}
	return p.Rates.Conv
}

// Limited reports whether Platform.WeightLimit applies to a layer: to all but
// fully connected ones, whose weights are streamed.
func Limited(l *arch.Layer) bool { return l.Op != arch.Linear }

// Supports reports whether the weights of a layer are within the limit.
func (p *Platform) Supports(l *arch.Layer) bool {
	return p.WeightLimit == 0 || !Limited(l) || l.Weights() <= p.WeightLimit
}
