package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// form is a kind of cost model: what it takes the hardware to do, and the parameters that
// it leaves to measurements.
type form struct {
	name, doc string
	policy    raptor.Policy
	rereads   bool
	free      raptor.Free
	array     bool // the array computes blocks of channels
	fit       []string
	priors    map[string]prior // where they differ from the usual ones
}

// inPassing is what a chip does while maps pass: sums and pools, and fully connected layers,
// whose weights it streams.
var inPassing = raptor.Free{Add: true, Pool: true, LinearWeights: true}

// forms are all that are known, in the order in which equals are preferred.
var forms = []form{
	{name: "spill", doc: "every map travels once, slowly what has no room; each result costs time; sums, pools and a classifier's weights are free",
		policy: raptor.Spill, free: inPassing, fit: []string{"rate", "output_cost", "transfer_cost", "spill_cost"}},
	{name: "spill-rereads", doc: "as spill, charged by the bytes of the tiles' own schedule",
		policy: raptor.Spill, free: inPassing, rereads: true, fit: []string{"rate", "output_cost", "transfer_cost", "spill_cost"}},
	{name: "spill-classifier", doc: "as spill, a classifier's weights are charged as others are",
		policy: raptor.Spill, free: raptor.Free{Add: true, Pool: true}, fit: []string{"rate", "output_cost", "transfer_cost", "spill_cost"}},
	{name: "spill-depthwise", doc: "as spill, with a rate of depthwise layers in place of a cost of results",
		policy: raptor.Spill, free: inPassing, fit: []string{"rate", "rates.depthwise", "transfer_cost", "spill_cost"}},
	{name: "layerwise", doc: "every map travels, as often as the layer's tiles read it",
		policy: raptor.Layerwise, fit: []string{"rate", "rates.depthwise", "activation_cost", "weight_cost"}},
	{name: "resident", doc: "maps stay between layers that run untiled",
		policy: raptor.Resident, fit: []string{"rate", "rates.depthwise", "activation_cost", "weight_cost"}},
	{name: "mixed", doc: "maps stay wherever there is room",
		policy: raptor.Mixed, fit: []string{"rate", "rates.depthwise", "activation_cost", "weight_cost"}},
	{name: "mixed-results", doc: "as mixed, with a cost of results in place of a rate of depthwise layers",
		policy: raptor.Mixed, fit: []string{"rate", "output_cost", "activation_cost", "weight_cost"}},
	{name: "overlap", doc: "an array that computes blocks of channels, with transfers behind it: of computing, activations and weights the longest hides most of the others",
		policy: raptor.Spill, array: true,
		fit:    []string{"rate", "rates.conv", "rates.linear", "rates.depthwise", "output_rate", "element_rate", "activation_cost", "outside_cost", "exposed", "layer_cost"},
		priors: map[string]prior{"activation_cost": {overRoot(1), factor(2)}, "outside_cost": {fixed(0.25), factor(3.3)}}},
}

// formNames returns the names of the forms.
func formNames() (names []string) {
	for _, f := range forms {
		names = append(names, f.name)
	}
	return names
}

// formLines lists the forms for the manual.
func formLines() string {
	var b strings.Builder
	for _, f := range forms {
		fmt.Fprintf(&b, "    %s: %s\n", f.name, f.doc)
	}
	return b.String()
}

// compared returns the indices of the forms to compare: those that the recipe names, or all
// with the platform's policy.
func (c *Config) compared() (of []int) {
	for i, f := range forms {
		switch {
		case len(c.Forms) > 0 && !slices.Contains(c.Forms, f.name) && f.name != c.Form:
		case len(c.Forms) == 0 && f.name != c.Form && c.Platform.Policy != "" && f.policy != c.Platform.Policy:
		default:
			of = append(of, i)
		}
	}
	return of
}

// on returns the platform as the form takes it: what is not written has the centres of the
// priors where it is fitted, and rates that are not are those of the others.
func (f *form) on(p raptor.Platform, fit []string) raptor.Platform {
	p = complete(p, slices.Contains(fit, "rates.depthwise"))
	p.Policy = f.policy
	p.Rereads = p.Rereads || f.rereads
	p.Free = raptor.Free{Add: p.Free.Add || f.free.Add, Pool: p.Free.Pool || f.free.Pool, LinearWeights: p.Free.LinearWeights || f.free.LinearWeights}
	if f.array && p.Array == (raptor.Array{}) {
		p.Array = array(p.PEs)
	}
	for j := range parameters {
		par := &parameters[j]
		if !slices.Contains(fit, par.name) {
			continue
		}
		for _, m := range par.moves {
			if v := par.get(&p, m); v == 0 || m == exposed && v == 1 {
				par.set(&p, m, f.prior(par).centre(float64(p.PEs)))
			}
		}
	}
	return p
}

// complete returns the platform with rates and a scope where none are written, which a
// datasheet may not say. A rate of depthwise layers of its own is far from the others'.
func complete(p raptor.Platform, depthwise bool) raptor.Platform {
	for f := convMACs; f <= linearMACs; f++ {
		name := "rate"
		if f == depthwiseMACs && depthwise {
			name = "rates.depthwise"
		}
		if r := rateOf(&p, f); *r == 0 {
			*r = min(parameters[index(name)].prior.centre(float64(p.PEs)), float64(p.PEs))
		}
	}
	if p.Scope == "" {
		p.Scope = raptor.NetworkScope
	}
	return p
}

// array returns the block that an array of PEs is taken to compute at a time: as many channels
// in as out, up to 16, and with what is left of the PEs pixels side by side; powers of two.
func array(pes int) raptor.Array {
	a := raptor.Array{Channels: 1, Rows: 1, Columns: 1}
	for a.Channels < 16 && 4*a.Channels*a.Channels <= pes {
		a.Channels *= 2
	}
	for block := a.Channels * a.Channels; 2*block*a.Rows*a.Columns <= pes; {
		if a.Columns > a.Rows {
			a.Rows *= 2
		} else {
			a.Columns *= 2
		}
	}
	return a
}

// prior returns what the form takes to be known of a parameter.
func (f *form) prior(par *parameter) prior {
	if p, ok := f.priors[par.name]; ok {
		return p
	}
	return par.prior
}

// adds reports whether a network's cycles are sums over its layers that the parameters
// multiply, so that layers need not be kept apart.
func (f *form) adds(p *raptor.Platform) bool {
	return !p.DoubleBuffer && p.Overlap == 0 && p.OutputRate == 0
}

// near is how far above the least AICc a form's may be for the measurements not to tell
// the two apart (Burnham and Anderson, Model Selection and Multimodel Inference, 2.6).
const near = 4

// choose returns the index of the form that the rule takes: of those that AICc does not
// tell from the best, the one with the smallest worst error, and of equals the one that is
// listed first.
func choose(fits []formFit) int {
	least := math.Inf(1)
	for i := range fits {
		least = min(least, fits[i].aicc)
	}
	best := -1
	for i := range fits {
		if f := &fits[i]; f.aicc <= least+near && (best < 0 || f.worst < fits[best].worst-1e-3) {
			best = i
		}
	}
	return best
}

// aicc returns Akaike's criterion for small samples (Hurvich and Tsai 1989) of n values met
// with a sum of squares by k parameters, and the variance: n·ln(sse/n) + 2k + 2k(k+1)/(n−k−1).
// It is infinite where n is at most k + 2.
func aicc(sse float64, n int, k float64) float64 {
	k++ // the variance
	rest := float64(n) - k - 1
	if rest <= 0 {
		return math.Inf(1)
	}
	return float64(float64(n)*float.Log(max(sse, 1e-12)/float64(n))) + 2*k + float64(2*k*(k+1))/rest
}

// byAICc orders fits of forms, the best first.
func byAICc(a, b Form) int {
	return cmp.Or(cmp.Compare(score(a), score(b)), strings.Compare(a.Name, b.Name))
}

func score(f Form) float64 {
	if f.AICc == nil {
		return math.Inf(1)
	}
	return *f.AICc
}
