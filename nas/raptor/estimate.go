package raptor

import (
	"math"

	"eyrie/nas/arch"
)

// Estimate is what a network costs on a platform.
type Estimate struct {
	Network     string      `json:"network" doc:"name"`
	Platform    string      `json:"platform" doc:"name"`
	Resolution  int         `json:"resolution" doc:"input rows in pixels"`
	Latency     float64     `json:"latency" unit:"s" provenance:"modelled" doc:"time of one inference"`
	Energy      float64     `json:"energy" unit:"J" provenance:"modelled" doc:"power × latency"`
	Mu          float64     `json:"mu" provenance:"modelled" doc:"NPU cycles / SYS cycles (equation 1); 0 where nothing is moved"`
	NPUCycles   float64     `json:"npu_cycles" unit:"cycles" provenance:"modelled" doc:"cycles that compute"`
	SYSCycles   float64     `json:"sys_cycles" unit:"cycles" provenance:"modelled" doc:"cycles that move data"`
	MACs        int64       `json:"macs" provenance:"modelled" doc:"multiply-accumulate operations, counted"`
	Params      int64       `json:"params" provenance:"modelled" doc:"parameters, counted"`
	PeakMemory  int         `json:"peak_memory" unit:"bytes" provenance:"modelled" doc:"most local memory occupied"`
	Traffic     int         `json:"traffic" unit:"bytes" provenance:"modelled" doc:"bytes moved: activations, weights, partial sums"`
	LayerBound  int64       `json:"layer_bound" unit:"bytes" provenance:"modelled" doc:"fewest bytes that any schedule moves where no map stays between layers"`
	FusedBound  int64       `json:"fused_bound" unit:"bytes" provenance:"modelled" doc:"fewest bytes where every map stays: input, weights and result"`
	Bounded     bool        `json:"bounded,omitempty" doc:"there are more ways to place the maps than could be followed: the latency is that of a schedule that can be run, and a faster one may exist"`
	Unsupported []string    `json:"unsupported" doc:"layers whose weights are beyond the platform's limit"`
	Layers      []LayerCost `json:"layers" provenance:"modelled" doc:"each layer's share, and how it runs"`
}

// LayerCost is one layer's share of an Estimate.
type LayerCost struct {
	Name      string  `json:"name"`
	Block     string  `json:"block"`
	Op        arch.Op `json:"op"`
	MACs      int64   `json:"macs"`
	NPUCycles float64 `json:"npu_cycles" unit:"cycles"`
	SYSCycles float64 `json:"sys_cycles" unit:"cycles"`
	Latency   float64 `json:"latency" unit:"s"`
	Schedule
	Charged     int     `json:"charged,omitempty" unit:"bytes" doc:"policy spill: activations and weights that it is charged for moving, each once, however often its tiles read them"`
	Spilled     int     `json:"spilled,omitempty" unit:"bytes" doc:"policy spill: activations that have no room beside the rest, and travel slowly"`
	Bound       int     `json:"bound" unit:"bytes" doc:"fewest bytes that any schedule of this layer by itself moves"`
	Utilisation float64 `json:"utilisation" doc:"share of the PEs that are busy while it computes"`
	Dominant    string  `json:"dominant" doc:"what most of its cycles are for: compute, activations, weights, spill, tiles, oversize"`
	Held        int     `json:"held" unit:"bytes" doc:"maps in the local memory that other layers wait for"`
	InResident  bool    `json:"in_resident" doc:"every operand was in the local memory already"`
	OutResident bool    `json:"out_resident" doc:"the result stays in the local memory for its readers"`
	Supported   bool    `json:"supported" doc:"its weights are within the platform's limit"`
	bill        moved   // what it is charged for
}

// cycles returns how long a layer that is cut into tiles takes: one thing after the
// other, or with transfers of equal tiles overlapping the computing.
func (p *Platform) cycles(npu, sys float64, tiles int) float64 {
	if !p.DoubleBuffer || tiles < 2 {
		return npu + sys
	}
	return overlap(npu, sys, float64(tiles))
}

// overlap returns the cycles of n equal tiles of which each is moved while another is
// computed: all of the longer, and of the shorter what the first or the last has.
func overlap(npu, sys, n float64) float64 {
	return (npu+sys)/n + float64((n-1)/n*max(npu, sys))
}

// turn returns the number of parts at which a layer's cycles are the fewest; it need not be
// whole. A part has tiles tiles and takes each SYS cycles; the layer takes base more.
// With n parts the cycles are max(npu, sys) + min(npu, sys)/(tiles·n), where sys is
// base + each·n. They fall with n while computing takes longer, and then have their
// minimum where each = npu/(tiles·n²).
func turn(npu, base, each, tiles float64) float64 {
	switch {
	case npu == 0:
		return 0
	case each == 0:
		return math.Inf(1)
	}
	return max((npu-base)/each, math.Sqrt(npu/(tiles*each)))
}

// least returns a lower bound on the cycles of a layer that is cut into at least this number
// of tiles. sys is what moving takes, without what the tiles cost by themselves.
func (p *Platform) least(npu, sys float64, tiles int) float64 {
	if !p.DoubleBuffer {
		return npu + sys + float64(p.TileCost*float64(tiles))
	}
	n := max(float64(tiles), turn(npu, sys, p.TileCost, 1))
	if math.IsInf(n, 1) {
		return max(npu, sys)
	}
	return overlap(npu, sys+float64(p.TileCost*n), n)
}

// Mu returns the paper's efficiency, NPU cycles / SYS cycles (equation 1), and 0
// where nothing is moved.
func Mu(npu, sys float64) float64 {
	if sys == 0 {
		return 0
	}
	return npu / sys
}

// Estimate prices a network on the platform. It fails with an
// [InfeasibleError] where a layer's smallest tile does not fit.
func (p Platform) Estimate(net arch.Network) (Estimate, error) {
	pl, err := p.plan(&net, p.closes(&net), Stored, false)
	if err != nil {
		return Estimate{}, err
	}
	defer planners.Put(pl)
	path := pl.path()
	e := Estimate{
		Network: net.Name, Platform: p.Name, Resolution: net.Input.H,
		Params: net.Params(), FusedBound: Fused(&net), Bounded: pl.bounded,
		Unsupported: []string{}, Layers: make([]LayerCost, len(net.Layers)),
	}
	for i := range net.Layers {
		c := p.layerCost(pl, i, path[i])
		e.Layers[i] = c
		e.MACs += c.MACs
		e.NPUCycles += c.NPUCycles
		e.SYSCycles += c.SYSCycles
		e.Latency += c.Latency
		e.PeakMemory = max(e.PeakMemory, c.Memory+c.Held)
		e.Traffic += c.Activations() + c.Weights
		e.LayerBound += int64(c.Bound)
		if !c.Supported {
			e.Unsupported = append(e.Unsupported, c.Name)
		}
	}
	e.Energy = p.Power * e.Latency
	e.Mu = Mu(e.NPUCycles, e.SYSCycles)
	return e, nil
}

func (p *Platform) layerCost(pl *planner, i int, m move) LayerCost {
	l := &pl.net.Layers[i]
	c := LayerCost{
		Name: l.Name, Block: l.Block, Op: l.Op, MACs: l.MACs(),
		NPUCycles: p.npu(l), Schedule: pl.schedule(i, &m),
		Held:        m.held,
		InResident:  m.all,
		OutResident: m.out.onChip(),
		Supported:   p.Supports(l),
	}
	bill := p.charged(&pl.windows[i], &c.Schedule)
	c.bill = bill
	if pl.conduct.spills {
		c.Charged, c.Spilled = bill.activations+bill.weights, bill.spilled
	}
	c.SYSCycles = p.sys(bill)
	if !c.Supported {
		c.SYSCycles += p.OversizeCost
	}
	if c.NPUCycles > 0 {
		c.Utilisation = float64(c.MACs) / (c.NPUCycles * float64(p.PEs))
	}
	c.Bound = int(pl.windows[i].bound(p.Memory + p.WeightMemory))
	c.Dominant, _ = p.dominant(&c)
	c.Latency = (p.cycles(c.NPUCycles, c.SYSCycles, c.Tiles) - p.hidden(c.NPUCycles, bill)) / p.Clock
	return c
}
