package calibrate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

const (
	// unmoved is the share of its prior's standard deviation above which what is left of a
	// parameter's says that the measurements do not determine it.
	unmoved = 0.8

	// inseparable is the correlation of two parameters above which the measurements do not
	// tell them apart.
	inseparable = 0.7

	// akin is how alike two networks are at least whose time is spent on the same things: the
	// correlation of what the form misses of them.
	akin = 0.3
)

// parameters describes what was fitted.
func (c *calibration) parameters(r *formFit, intervals map[int]interval) []Parameter {
	var all []Parameter
	if r.step > 0 {
		p := newParameter(memory, "bytes", float64(r.platform.Memory), c.memories(r))
		p.Words = p.words(false)
		all = append(all, p)
	}
	for k, j := range r.free {
		par := &parameters[j]
		p := newParameter(par.name, par.unit, par.first(&r.platform), intervals[j])
		p.Prior = r.posterior.priorInterval(k)
		spread := r.posterior.spread(k)
		p.Determined = ptr(max(0, 1-float64(spread*spread)))
		p.Identified = p.Identified && spread <= unmoved
		p.Words = p.words(par.written(&c.Platform))
		all = append(all, p)
	}
	return all
}

func newParameter(name, unit string, value float64, i interval) Parameter {
	p := Parameter{Name: name, Unit: unit, Value: value}
	if !i.openLow {
		p.Low = &i.low
	}
	if !i.openHigh {
		p.High = &i.high
	}
	p.Identified = p.Low != nil && p.High != nil && i.high <= 3*i.low
	return p
}

// words says what the measurements say of a parameter, of which the platform had a value.
func (p *Parameter) words(written bool) string {
	undetermined := p.Determined != nil && *p.Determined < 1-unmoved*unmoved
	switch {
	case undetermined && written:
		return fmt.Sprintf("%s is not determined by the measurements; it stays at what the platform says: %s, between %s and %s", p.Name, p.quantity(p.Value), p.quantity(p.Prior[0]), p.quantity(p.Prior[1]))
	case undetermined:
		return fmt.Sprintf("%s is not determined by the measurements; it stays at what such chips have: %s, between %s and %s", p.Name, p.quantity(p.Value), p.quantity(p.Prior[0]), p.quantity(p.Prior[1]))
	case p.Low == nil && p.High == nil:
		return fmt.Sprintf("%s is not determined by the measurements, which any value that was tried meets; %s is taken", p.Name, p.quantity(p.Value))
	case p.Low == nil:
		return fmt.Sprintf("%s is %s; it may be anything up to %s", p.Name, p.quantity(p.Value), p.quantity(*p.High))
	case p.High == nil:
		return fmt.Sprintf("%s is %s; it may be anything from %s", p.Name, p.quantity(p.Value), p.quantity(*p.Low))
	case p.Identified:
		return fmt.Sprintf("%s is %s, between %s and %s", p.Name, p.quantity(p.Value), p.quantity(*p.Low), p.quantity(*p.High))
	}
	return fmt.Sprintf("%s is %s, but known weakly: between %s and %s", p.Name, p.quantity(p.Value), p.quantity(*p.Low), p.quantity(*p.High))
}

// unusual reports whether a value is one that hardly any chip has, as where latencies are in
// milliseconds: some parameter takes up a factor that all measurements have.
func (p *Parameter) unusual() bool {
	return p.Prior != nil && (p.Value < p.Prior[0] || p.Value > p.Prior[1])
}

// quantity writes a value of the parameter.
func (p *Parameter) quantity(v float64) string {
	if p.Unit == "bytes" {
		return fmt.Sprintf("%.0f bytes", v)
	}
	return strings.TrimSpace(fmt.Sprintf("%.4g %s", v, p.Unit))
}

// summary describes the fit in words.
func (c *calibration) summary(out *Output, r *formFit, k *knowledge) []string {
	s := []string{
		fmt.Sprintf("%d values of %d networks are met within %.1f %% rms, and within %.1f %% by fits that have not seen the network.",
			c.data, len(c.distinct), 100*out.RMS, 100*out.LOO),
	}
	const doubt = "Are latencies in seconds, is mu NPU cycles / SYS cycles, are clock, pes and rates right?"
	if out.RMS > math.Ln2 {
		s = append(s, fmt.Sprintf("That is no fit: measurements and platform differ by a factor of %.3g. %s", float.Exp(out.RMS), doubt))
	}
	for i := range out.Parameters {
		if p := &out.Parameters[i]; p.unusual() {
			s = append(s, fmt.Sprintf("%s is %s, where such chips have %s to %s. %s", p.Name, p.quantity(p.Value), p.quantity(p.Prior[0]), p.quantity(p.Prior[1]), doubt))
		}
	}
	s = append(s, c.chose(out, r))
	for _, p := range out.Parameters {
		s = append(s, p.Words+".")
	}
	for _, pair := range out.Correlated {
		s = append(s, pair.Words+".")
	}
	if c.oneStructure() || k.oneFamily() {
		s = append(s, fmt.Sprintf("All measurements are of one family of networks: an estimate of a network unlike them may be off by %.0f %%, as one standard deviation. The output next ranks what to measure to change that.", 100*(float.Exp(out.Error)-1)))
	}
	if out.Ranking != nil {
		s = append(s, out.Ranking.Words)
	}
	return s
}

// chose says which form was taken, and why.
func (c *calibration) chose(out *Output, r *formFit) string {
	var all, equal []string
	least := score(out.Forms[0])
	for _, f := range out.Forms {
		all = append(all, fmt.Sprintf("%s %.1f %%", f.Name, 100*f.RMS))
		if score(f) <= least+near {
			equal = append(equal, f.Name)
		}
	}
	why := ""
	switch {
	case c.Form != "":
		why = "The recipe asks for it."
	case len(out.Forms) == 1:
		why = "No other was compared."
	case len(equal) == 1:
		why = fmt.Sprintf("Its AICc is the least, by more than %d.", near)
	default:
		why = fmt.Sprintf("AICc does not tell %s apart; of these it errs least where it errs most, by %.1f %% (of equals the one listed first in the manual is taken).", list(equal), 100*r.worst)
	}
	return fmt.Sprintf("The form is %s: %s. %s Errors of the forms: %s.", r.name, r.doc, why, strings.Join(all, ", "))
}

// list writes names as a sentence has them.
func list(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// correlated returns the pairs of parameters that the measurements determine, but do not tell
// apart.
func (q *posterior) correlated() []Pair {
	pairs := []Pair{}
	for a := range q.n {
		for b := range a {
			c := q.correlation(a, b)
			if math.Abs(c) < inseparable || q.spread(a) > unmoved || q.spread(b) > unmoved {
				continue
			}
			p := Pair{Parameters: []string{parameters[q.free[b]].name, parameters[q.free[a]].name}, Correlation: c}
			other := "less"
			if c > 0 {
				other = "more"
			}
			p.Words = fmt.Sprintf("%s cannot be told apart: with more of the one and %s of the other the measurements are met nearly as well", list(p.Parameters), other)
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// oneStructure reports whether all networks that were fitted to have the same layers but for
// their channels and sizes, as those have that were scaled.
func (c *calibration) oneStructure() bool {
	type kind struct {
		op     arch.Op
		kernel arch.Extent
	}
	structure := func(n *arch.Network) (all []kind) {
		for i := range n.Layers {
			if l := &n.Layers[i]; l.MACs() > 0 { // scaling makes and breaks residual sums
				all = append(all, kind{l.Op, l.Kernel})
			}
		}
		return all
	}
	first := structure(&c.ms[c.distinct[0]].net)
	for _, i := range c.distinct {
		if !slices.Equal(structure(&c.ms[i].net), first) {
			return false
		}
	}
	return true
}

// oneFamily reports whether all networks that were fitted to spend their time on the same
// things.
func (k *knowledge) oneFamily() bool {
	for i := range k.seen {
		for j := range i {
			a, b := k.seen[i], k.seen[j]
			a.mu, b.mu = false, false // whichever was measured
			if shared(&a, &b) < akin {
				return false
			}
		}
	}
	return true
}

// written reports whether a platform has a value of the parameter.
func (par *parameter) written(p *raptor.Platform) bool {
	v := par.first(p)
	return v != 0 && !(par.moves[0] == exposed && v == 1)
}
