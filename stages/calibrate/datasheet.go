package calibrate

import (
	"fmt"
	"slices"
	"strings"

	"eyrie/nas/raptor"
)

// assumed returns the platform with what its datasheet may not say: every kind of layer
// reaches all PEs, and maps stay wherever there is room. There the fit starts.
func assumed(p raptor.Platform) raptor.Platform {
	for _, rate := range []*float64{&p.Rates.Conv, &p.Rates.Depthwise, &p.Rates.Pointwise, &p.Rates.Linear} {
		if *rate == 0 {
			*rate = float64(p.PEs)
		}
	}
	if p.Policy == "" {
		p.Policy = raptor.Mixed
	}
	if p.Scope == "" {
		p.Scope = raptor.NetworkScope
	}
	return p
}

// auto is in place of a list of parameters: as many as the data can identify.
const auto = "auto"

// byInfluence lists the parameters, those first that make the most of a difference, and of
// which a datasheet says the least.
var byInfluence = []string{"rate", "activation_cost", "rates.depthwise", "weight_cost", "weight_limit", "oversize_cost", "tile_cost", "memory"}

// identified returns the parameters, in the usual order, that the data can identify: two
// for each three values, and none of those that only networks beyond a weight limit show,
// where the file has none of which it says that it is supported or not.
func identified(ms []measurement, values int, p *raptor.Platform) []string {
	limited := p.WeightLimit > 0 || slices.ContainsFunc(ms, func(m measurement) bool { return m.supported != "" })
	var fit []string
	for _, name := range byInfluence {
		if !limited && (name == "weight_limit" || name == "oversize_cost") {
			continue
		}
		if len(fit) < max(1, 2*values/3) {
			fit = append(fit, name)
		}
	}
	return slices.DeleteFunc(names(), func(name string) bool { return !slices.Contains(fit, name) })
}

// chosenFit says what was fitted where the recipe left that open, and what was not.
func (c *calibration) chosenFit() string {
	rest := slices.DeleteFunc(names(), c.fitted)
	if len(rest) == 0 {
		return "Every parameter is fitted, as the data allow."
	}
	return fmt.Sprintf("%d values of μ and latency can identify %s; %s stayed as the platform has them, or as was assumed of them: write fit to choose others.",
		c.data, strings.Join(c.Fit, ", "), strings.Join(rest, ", "))
}
