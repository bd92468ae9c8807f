package grid

import (
	"cmp"
	"fmt"
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// Standing is where an assignment from elsewhere stands among all.
type Standing struct {
	Name            string      `json:"name"`
	Point           Point       `json:"point" doc:"what it costs"`
	Supported       bool        `json:"supported" doc:"all its weights are within the platform's limit"`
	Percentile      float64     `json:"percentile" provenance:"modelled" doc:"share of the assignments of similar MACs whose μ is not above its own"`
	Peers           int         `json:"peers" provenance:"modelled" doc:"how many are of similar MACs"`
	Dominators      int         `json:"dominators" provenance:"modelled" doc:"feasible assignments that are nowhere worse in MACs and μ, and somewhere better"`
	Networks        int         `json:"networks" provenance:"modelled" doc:"how many different networks these are: multipliers may round to the same channels"`
	Distance        float64     `json:"distance" provenance:"modelled" doc:"share by which both its MACs and μ would have to grow for nothing to dominate it"`
	PercentileRange []float64   `json:"percentile_range" provenance:"modelled" doc:"least and greatest percentile over the plausible platforms; empty without any"`
	DominatorsRange []int       `json:"dominators_range" provenance:"modelled" doc:"least and greatest number of dominators over the plausible platforms"`
	Neighbours      []Neighbour `json:"neighbours" doc:"where a multiplier is off the grid: the assignments on it just below and just above"`
	DominatedBy     []Point     `json:"dominated_by" doc:"these networks, by descending μ; at most 100"`
}

// Neighbour is a reference moved onto the grid.
type Neighbour struct {
	Name       string  `json:"name"`
	Point      Point   `json:"point" doc:"what it costs"`
	Percentile float64 `json:"percentile" provenance:"modelled" doc:"as a standing's"`
	Dominators int     `json:"dominators" provenance:"modelled" doc:"as a standing's"`
}

// Row is how wide a row of the backbone may be, the others being given.
type Row struct {
	Row     string  `json:"row" doc:"stem, g1 …, head"`
	Base    int     `json:"base" provenance:"given" doc:"channels before the multiplier"`
	Width   float64 `json:"width" doc:"its multiplier in the given assignment"`
	Widest  float64 `json:"widest" provenance:"modelled" doc:"the greatest multiplier of the grid that is supported; 0 if none is"`
	Largest int64   `json:"largest" unit:"bytes" provenance:"modelled" doc:"weights of the largest layer then, of this row or the next"`
	Next    float64 `json:"next" doc:"the next multiplier, which is not supported; 0 if there is none"`
	Exceeds int64   `json:"exceeds" unit:"bytes" provenance:"modelled" doc:"weights of the largest layer at that one"`
}

// maxDominators is how many dominating networks are returned.
const maxDominators = 100

func (s *space) report(c *Config, all *census, others []*census) Result {
	r := Result{Resolution: s.resolution, Assignments: s.size(), Feasible: all.count, Cloud: all.dots}
	for _, p := range all.front {
		r.Front = append(r.Front, s.point(p))
	}
	best := all.front.pick(c.Rule)
	r.Best = s.point(best)
	r.Summary = []string{
		fmt.Sprintf("%d of %d assignments at %d pixels are feasible; %d of them are on the front of (MACs, μ).",
			r.Feasible, r.Assignments, r.Resolution, len(r.Front)),
		fmt.Sprintf("Rule %q picks %v: %.1f M MACs, μ %.3f, %.1f ms.", c.Rule, []float64(r.Best.Widths), float64(r.Best.MACs)/1e6, r.Best.Mu, 1e3*r.Best.Latency),
	}
	given := r.Best.Widths
	if len(all.rivals) > 0 {
		given = c.Reference.Widths
		r.Standing = s.standing(all, others)
		r.Summary = append(r.Summary, r.Standing.words(c.Window)...)
	}
	if len(others) > 0 {
		share := 0.0
		for _, o := range others {
			if slices.ContainsFunc(o.front, func(p point) bool { return p.index == best.index }) {
				share += 1 / float64(len(others))
			}
		}
		r.BestSurvives = &share
		r.Summary = append(r.Summary, fmt.Sprintf("The point that the rule picks is on the front of %.0f %% of %d plausible platforms.", 100*share, len(others)))
	}
	r.Rows = s.rows(given)
	return r
}

// point prices one assignment for the report.
func (s *space) point(p point) Point {
	latency := p.cycles / s.platform.Clock
	w := s.widths(p.index)
	return Point{Widths: w, Channels: s.channels(w), MACs: p.macs, Params: p.params, Mu: p.mu,
		Latency: latency, Energy: latency * s.platform.Power, Memory: p.memory, Largest: p.largest}
}

func (s *space) channels(w arch.Widths) []int {
	stem, groups, head := s.backbone.Channels(w, s.rounding)
	return append(append([]int{stem}, groups...), head)
}

// standing reports on the first rival, the reference, beside the others.
func (s *space) standing(all *census, others []*census) *Standing {
	ref := &all.rivals[0]
	e := &ref.estimate
	st := &Standing{Name: ref.Name, Point: s.rival(ref), Supported: len(e.Unsupported) == 0, Percentile: ref.percentile(), Peers: ref.peers,
		Dominators: len(ref.dominators), PercentileRange: []float64{}, DominatorsRange: []int{}, Neighbours: []Neighbour{}, DominatedBy: []Point{}}
	growth := 0.0
	for _, p := range all.front {
		if p.mu > 0 { // else nothing is moved, and μ means nothing
			growth = max(growth, min(float.Log(float64(p.macs)/float64(e.MACs)), float.Log(p.mu/e.Mu)))
		}
	}
	st.Distance = float.Expm1(growth)
	networks := map[string]bool{}
	slices.SortStableFunc(ref.dominators, func(p, q point) int { return cmp.Compare(q.mu, p.mu) })
	for _, p := range ref.dominators {
		q := s.point(p)
		if name := fmt.Sprint(q.Channels); !networks[name] {
			networks[name] = true
			if len(networks) <= maxDominators {
				st.DominatedBy = append(st.DominatedBy, q)
			}
		}
	}
	st.Networks = len(networks)
	for i := range all.rivals[1:] {
		n := &all.rivals[1+i]
		st.Neighbours = append(st.Neighbours, Neighbour{n.Name, s.rival(n), n.percentile(), len(n.dominators)})
	}
	for i, o := range others {
		p, d := o.rivals[0].percentile(), len(o.rivals[0].dominators)
		if i == 0 {
			st.PercentileRange, st.DominatorsRange = []float64{p, p}, []int{d, d}
		}
		st.PercentileRange = []float64{min(st.PercentileRange[0], p), max(st.PercentileRange[1], p)}
		st.DominatorsRange = []int{min(st.DominatorsRange[0], d), max(st.DominatorsRange[1], d)}
	}
	return st
}

// rival prices an assignment from elsewhere for the report.
func (s *space) rival(r *rival) Point {
	e := &r.estimate
	return Point{Widths: r.Widths, Channels: s.channels(r.Widths), MACs: e.MACs, Params: e.Params, Mu: e.Mu,
		Latency: e.Latency, Energy: e.Energy, Memory: e.PeakMemory, Largest: s.largest(r.Widths)}
}

func (st *Standing) words(window float64) []string {
	words := []string{fmt.Sprintf("%s has %.1f M MACs and μ %.3f: a μ not below that of %.2f %% of the %d feasible assignments within %.0f %% of its MACs; "+
		"%d assignments (%d networks) dominate it, and the front is %.1f %% away.",
		st.Name, float64(st.Point.MACs)/1e6, st.Point.Mu, 100*st.Percentile, st.Peers, 100*window, st.Dominators, st.Networks, 100*st.Distance)}
	for _, n := range st.Neighbours {
		words = append(words, fmt.Sprintf("%s, %v, has %.1f M MACs and μ %.3f: the %.2f %% point, with %d dominators.",
			n.Name, []float64(n.Point.Widths), float64(n.Point.MACs)/1e6, n.Point.Mu, 100*n.Percentile, n.Dominators))
	}
	if r := st.PercentileRange; len(r) > 0 {
		words = append(words, fmt.Sprintf("Over the plausible platforms %s has the %.2f to %.2f %% point and %d to %d dominators.",
			st.Name, 100*r[0], 100*r[1], st.DominatorsRange[0], st.DominatorsRange[1]))
	}
	return words
}

// rows finds for each row the widest multiplier that is supported beside the
// given other rows.
func (s *space) rows(given arch.Widths) []Row {
	stem := s.backbone.Stem.Channels
	rows := []Row{{Row: "stem", Base: stem}}
	for i, g := range s.backbone.Groups {
		rows = append(rows, Row{Row: fmt.Sprintf("g%d", i+1), Base: g.Channels})
	}
	rows = append(rows, Row{Row: "head", Base: s.backbone.Head})
	for i := range rows {
		w := slices.Clone(given)
		rows[i].Width = given[i]
		for _, o := range s.options {
			w[i] = o
			largest := s.largest(w)
			if s.platform.WeightLimit == 0 || largest <= s.platform.WeightLimit {
				rows[i].Widest, rows[i].Largest = o, largest
			} else if rows[i].Next == 0 {
				rows[i].Next, rows[i].Exceeds = o, largest
			}
		}
	}
	return rows
}

// largest returns the weights of the assignment's largest layer, the fully
// connected one aside.
func (s *space) largest(w arch.Widths) int64 {
	return raptor.LargestWeights(s.backbone.Scale(w, s.resolution, s.rounding))
}
