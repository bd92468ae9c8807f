package raptor

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"eyrie/nas/arch"
	"eyrie/nas/unit"
)

// Costliest returns the indices of the n layers that take longest, longest
// first.
func (e *Estimate) Costliest(n int) []int {
	order := make([]int, len(e.Layers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(e.Layers[b].Latency, e.Layers[a].Latency) })
	return order[:min(n, len(order))]
}

// Explain says of layer i of an estimated network, in sentences, what it costs,
// what that is spent on, why it runs as it does and what would make it cheaper.
func (p *Platform) Explain(net *arch.Network, e *Estimate, i int) string {
	l, c := &net.Layers[i], &e.Layers[i]
	if c.Latency == 0 {
		if l.Op == arch.View {
			return p.spent(e, c) + " It rearranges maps that are all in one memory."
		}
		if p.free(l.Op) {
			return p.spent(e, c) + " It is done as maps pass, and moves nothing of its own."
		}
		return p.spent(e, c)
	}
	words := []string{p.spent(e, c), p.shape(l, c), p.maps(net, e, i)}
	if !c.Supported {
		words = append(words, fmt.Sprintf("Its %s of weights are beyond the limit of %s for a layer, so it is not supported; what it costs all the same is a guess.",
			unit.Bytes(l.Weights()), unit.Bytes(p.WeightLimit)))
	}
	return strings.Join(append(words, p.cure(l, c)), " ")
}

// The values of LayerCost.Dominant.
const (
	Compute     = "compute"
	Activations = "activations"
	Weights     = "weights"
	Spills      = "spill"
	Tiles       = "tiles"
	Oversize    = "oversize"
)

// dominant names the largest part of the layer's cycles, and its share.
func (p *Platform) dominant(c *LayerCost) (name string, share float64) {
	name, most := Compute, c.NPUCycles
	take := func(n string, cycles float64) {
		if cycles > most {
			name, most = n, cycles
		}
	}
	take(Activations, p.ActivationCost*float64(c.bill.activations-c.bill.spilled))
	take(Weights, p.WeightCost*float64(c.bill.weights))
	take(Spills, (p.ActivationCost+p.SpillCost)*float64(c.bill.spilled))
	take(Tiles, p.TileCost*float64(c.bill.tiles))
	if !c.Supported {
		take(Oversize, p.OversizeCost)
	}
	if total := c.NPUCycles + c.SYSCycles; total > 0 {
		share = most / total
	}
	return name, share
}

// spent says how long the layer takes, and on what.
func (p *Platform) spent(e *Estimate, c *LayerCost) string {
	if c.Latency == 0 {
		return fmt.Sprintf("%s takes no time.", c.Name)
	}
	name, share := p.dominant(c)
	what := map[string]string{
		Compute:     p.computes(c),
		Activations: fmt.Sprintf("move %s of activations at %.3g cycles a byte", unit.Bytes(int64(c.bill.activations-c.bill.spilled)), p.ActivationCost),
		Weights:     fmt.Sprintf("move %s of weights at %.3g cycles a byte", unit.Bytes(int64(c.bill.weights)), p.WeightCost),
		Spills:      fmt.Sprintf("move %s of activations for which there is no room, at %.3g cycles a byte", unit.Bytes(int64(c.bill.spilled)), p.ActivationCost+p.SpillCost),
		Tiles:       fmt.Sprintf("set up %d tiles", c.Tiles),
		Oversize:    "work around the weight limit",
	}[name]
	return fmt.Sprintf("%s takes %.3g ms, %.0f %% of the network's time; %.0f %% of its cycles %s.", c.Name, 1e3*c.Latency, 100*c.Latency/e.Latency, 100*share, what)
}

// computes says how busy the PEs are while a layer computes.
func (p *Platform) computes(c *LayerCost) string {
	if c.MACs == 0 {
		return "compute, without a MAC"
	}
	return fmt.Sprintf("compute (%.1f of %d MAC/cycle)", float64(c.MACs)/max(1, c.NPUCycles), p.PEs)
}

// shape says in what tiles it runs, and why.
func (p *Platform) shape(l *arch.Layer, c *LayerCost) string {
	need := p.whole(l)
	have := int(p.Memory) - c.Held
	if c.Order == Untiled {
		return fmt.Sprintf("It runs untiled in %s of %s.", unit.Bytes(int64(c.Memory+c.Held)), p.Memories())
	}
	why := ""
	if short := need - have; short > 0 {
		held := ""
		if c.Held > 0 {
			held = fmt.Sprintf(" (%s are held for a later layer)", unit.Bytes(int64(c.Held)))
		}
		why = fmt.Sprintf("Whole it takes %s, %s more than there is%s, so it", unit.Bytes(int64(need)), unit.Bytes(int64(short)), held)
	} else if w := l.WeightBytes(); p.WeightMemory > 0 && w > p.WeightMemory {
		why = fmt.Sprintf("Its weights are %s, %s more than there is for weights, so it", unit.Bytes(w), unit.Bytes(w-p.WeightMemory))
	} else {
		why = "It fits whole, but transfers overlap with computing only between tiles, so it"
	}
	s := fmt.Sprintf("%s runs in %d tiles of ", why, c.Tiles)
	if l.Out.H > 1 {
		s += fmt.Sprintf("%d rows × ", c.Rows)
	}
	s += fmt.Sprintf("%d channels", c.Channels)
	if c.Order == SumIn || c.Order == SumOutC || c.Order == SumOutH {
		s += fmt.Sprintf(" from %d inputs", c.Inputs)
	}
	var again []string
	if once := l.InputBytes(); int64(c.In) > once {
		again = append(again, fmt.Sprintf("%.0f %% of its input", 100*float64(int64(c.In)-once)/float64(once)))
	}
	if w := l.WeightBytes(); int64(c.Weights) > w {
		again = append(again, fmt.Sprintf("its weights %d times more", int64(c.Weights)/w-1))
	}
	if c.Partial > 0 {
		again = append(again, fmt.Sprintf("%s of partial sums", unit.Bytes(int64(c.Partial))))
	}
	if len(again) > 0 {
		s += " (" + string(c.Order) + "), reading again " + strings.Join(again, " and ")
	}
	return s + "."
}

// whole returns the bytes that a layer needs to run untiled in the memory that
// its maps share.
func (p *Platform) whole(l *arch.Layer) int {
	n := l.InputBytes() + l.OutputBytes()
	if p.WeightMemory == 0 {
		n += l.WeightBytes()
	}
	return int(n)
}

// maps says whether its maps stay in the local memory, and why not.
func (p *Platform) maps(net *arch.Network, e *Estimate, i int) string {
	c := &e.Layers[i]
	if p.Policy.conduct().spills {
		return p.spill(c)
	}
	in := "Its input travels"
	switch {
	case c.InResident:
		in = "Its input is in the local memory already"
	case i == 0:
		in = "The network's input has to be read"
	}
	switch {
	case c.InResident && c.OutResident:
		return "Its maps stay in the local memory."
	case c.OutResident:
		return in + "; its result stays in the local memory."
	case i+1 == len(net.Layers):
		return in + "; its result is the network's."
	}
	return in + "; its result travels: " + p.whyNot(net, i) + "."
}

// spill says what a layer moves where every map travels once, and what its tiles would.
func (p *Platform) spill(c *LayerCost) string {
	if moves := c.Activations() + c.Weights; moves != c.Charged {
		return fmt.Sprintf("All that it needs is charged once, %s; its tiles move %s.", unit.Bytes(int64(c.Charged)), unit.Bytes(int64(moves)))
	}
	return fmt.Sprintf("All that it moves, %s, travels once.", unit.Bytes(int64(c.Charged)))
}

// whyNot says why the result of layer i does not stay.
func (p *Platform) whyNot(net *arch.Network, i int) string {
	l := &net.Layers[i]
	pl := planner{p: p, net: net, closes: p.closes(net)}
	switch size := l.OutputBytes(); {
	case p.Policy == Layerwise:
		return "the platform's policy is layerwise"
	case pl.scopeEnds(i):
		return "the platform's scope is the " + string(p.Scope)
	case size > p.Memory:
		return fmt.Sprintf("the result has %s, the local memory %s", unit.Bytes(size), unit.Bytes(p.Memory))
	default:
		return fmt.Sprintf("its %s would leave %s for the next layer, which then costs more than is saved", unit.Bytes(size), unit.Bytes(p.Memory-size))
	}
}

// cure says what would make the layer cheaper.
func (p *Platform) cure(l *arch.Layer, c *LayerCost) string {
	name, _ := p.dominant(c)
	short := p.whole(l) + c.Held - int(p.Memory)
	switch {
	case name == Compute && l.Op == arch.Depthwise && p.Rates.Depthwise < p.Rates.Pointwise:
		return fmt.Sprintf("A depthwise layer keeps %.0f %% of the PEs busy: fewer channels or a smaller kernel make it cheaper, more memory does not.", 100*c.Utilisation)
	case name == Compute && c.MACs == 0:
		return "Only fewer channels, or fewer rows and columns, make it cheaper."
	case name == Compute:
		return "It computes most of the time: this is what the NPU is for."
	case name == Weights && l.Op == arch.Linear:
		return fmt.Sprintf("Each weight is used once: only fewer of them help; three quarters of its %d inputs would save %.2g ms.", l.In.Size(), 1e3*c.Latency/4)
	case name == Weights:
		return fmt.Sprintf("Its weights are used %d times each: fewer channels, or more rows and columns here instead of elsewhere, raise μ.", l.Out.H*l.Out.W)
	case (name == Activations || name == Spills) && short > 0:
		share := float64(p.Memory-int64(c.Held)) / float64(p.whole(l))
		s := fmt.Sprintf("It would run whole with %s more local memory", unit.Bytes(int64(short)))
		if share > 0 {
			s += fmt.Sprintf(", with %.0f %% of its channels, or at %.0f %% of the resolution", 100*share, 100*math.Sqrt(share))
		}
		return s + "."
	case name == Activations:
		return p.moved(l, c)
	case name == Tiles && short <= 0:
		return "Fewer, larger tiles would overlap less."
	case name == Tiles:
		return "Fewer, larger tiles need more local memory."
	}
	return fmt.Sprintf("It would be supported with %.0f %% of its weights.", 100*float64(p.WeightLimit)/float64(max(1, l.Weights())))
}

// moved says what would spare the maps of a layer whose maps fit the way.
func (p *Platform) moved(l *arch.Layer, c *LayerCost) string {
	switch w := l.WeightBytes(); {
	case c.Order != Untiled && p.WeightMemory > 0 && w > p.WeightMemory:
		return fmt.Sprintf("It would run whole with %s more memory for weights, or with %.0f %% of its weights.", unit.Bytes(w-p.WeightMemory), 100*float64(p.WeightMemory)/float64(w))
	case p.Policy == Layerwise:
		return "It fits, and pays for maps that travel by the platform's policy: resident or mixed would keep them."
	case p.Policy.conduct().spills:
		return "It fits: only fewer channels, or fewer rows and columns, make it cheaper."
	}
	return "It fits, and pays for maps that come from or go to layers that do not: make its neighbours fit."
}

// Memories writes the platform's local memory for reading: "280 KiB", or
// "96 KiB + 64 KiB for weights" where these have their own.
func (p *Platform) Memories() string {
	if p.WeightMemory == 0 {
		return unit.Bytes(p.Memory)
	}
	return unit.Bytes(p.Memory) + " + " + unit.Bytes(p.WeightMemory) + " for weights"
}
