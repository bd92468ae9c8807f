package raptor

import "eyrie/nas/arch"

// Load is what a layer gives the hardware to do: the quantities of the terms, before any of
// them has a price.
type Load struct {
	Op          arch.Op
	MACs        float64 // in whole blocks of the array, as are the results
	Results     float64 // elements that a layer with MACs writes
	Values      float64 // elements that a layer without MACs reads and writes
	Activations float64 // bytes moved
	Weights     float64 // bytes moved
	Spilled     float64 // bytes of activations that have no room
	Tiles       float64
	Free        bool // nothing of it costs anything, as of a view
}

// Loads returns what each layer of a network gives the platform to do. It fails with an
// [InfeasibleError] where a layer's smallest tile does not fit.
func (p Platform) Loads(net *arch.Network) ([]Load, error) {
	if c := p.Policy.conduct(); c.spills && !p.Rereads {
		return p.spills(net)
	}
	pl, err := p.plan(net, p.closes(net), Stored, false)
	if err != nil {
		return nil, err
	}
	defer planners.Put(pl)
	loads := make([]Load, len(net.Layers))
	for i, m := range pl.path() {
		s := pl.schedule(i, &m)
		loads[i] = p.load(&net.Layers[i], p.charged(&pl.windows[i], &s))
	}
	return loads, nil
}

// spills is Loads where tiles matter by their number alone: where that costs nothing either,
// none is looked for.
func (p *Platform) spills(net *arch.Network) ([]Load, error) {
	loads := make([]Load, len(net.Layers))
	for i := range net.Layers {
		l := &net.Layers[i]
		var g window
		var s Schedule
		p.window(l, &g)
		r := room{memory: int(p.Memory), weights: int(p.WeightMemory), store: true}
		small := p.infeasible(l, &g)
		switch {
		case p.TileCost == 0 && small.Need <= small.Have:
		case !p.schedule(&g, &r, rest{npu: p.npu(l)}, &s):
			return nil, small
		}
		loads[i] = p.load(l, p.charged(&g, &s))
	}
	return loads, nil
}

func (p *Platform) load(l *arch.Layer, m moved) Load {
	w := p.work(l)
	return Load{
		Op: l.Op, MACs: w.macs, Results: w.results, Values: w.values,
		Activations: float64(m.activations), Weights: float64(m.weights), Spilled: float64(m.spilled), Tiles: float64(m.tiles), Free: m == (moved{}),
	}
}
