package evolve

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"

	"eyrie/nas/arch"
	"eyrie/pipeline"
	"eyrie/pipeline/float"
)

// floor is the least that a subnet of a space costs on a platform.
type floor struct {
	nothing error   // why none runs; else nil
	memory  int     // bytes, where the limit on memory is too low for any; else 0
	fastest float64 // s, within the limit on memory
	params  int64
	macs    int64
}

// mostFloors bounds how many floors are kept, one for each space, platform and limit on
// memory, and how many are computed before anything runs: one takes some 50 ms at the
// paper's scale.
const mostFloors = 64

var floors struct {
	sync.Mutex
	known map[string]floor
}

// infeasible returns why no subnet of the space is within the limits, or nil. It keeps
// floors, because the steps of a recipe often search the same space. Beyond mostFloors it
// returns nil, and the search itself reports the mistake.
func infeasible(c Config, space arch.Space) error {
	if c.Limit == (Limit{}) {
		return nil
	}
	key, err := json.Marshal([]any{space, c.Platform, c.Limit.Memory})
	if err != nil {
		return nil
	}
	floors.Lock()
	defer floors.Unlock()
	f, ok := floors.known[string(key)]
	if !ok {
		if len(floors.known) >= mostFloors {
			return nil
		}
		if f, ok = newFloor(c, space); !ok {
			return nil // the search says what is wrong
		}
		if floors.known == nil {
			floors.known = map[string]floor{}
		}
		floors.known[string(key)] = f
	}
	return c.above(f)
}

// newFloor finds the floor of a space, unless it cannot be priced.
func newFloor(c Config, space arch.Space) (f floor, ok bool) {
	s := &evolution{Config: c}
	var err error
	if s.codec, err = newCodec(space); err != nil {
		return f, false
	}
	if s.model, err = newModel(c.Platform, s.codec); err != nil {
		return f, false
	}
	return s.floor(), true
}

func (s *evolution) floor() (f floor) {
	m := s.model
	if _, ok := m.choices(0, macs().adds).graph.Cheapest(); !ok {
		f.nothing = s.nothingRuns()
		return f
	}
	fastest, ok := m.choices(s.Limit.Memory, macs().adds).graph.Cheapest()
	if !ok {
		f.memory = m.leastMemory()
		return f
	}
	small := m.price(s.codec.encode(s.codec.space.Smallest()))
	f.fastest, f.params, f.macs = fastest.Cost, small.Params, small.MACs
	return f
}

// feasible says at once where no subnet can meet a limit, with the least that
// there is. Limits that only together cannot be met show in the search.
func (s *evolution) feasible() error { return s.above(s.floor()) }

// above returns which limit is below the floor, or nil.
func (c Config) above(f floor) error {
	l := c.Limit
	if f.nothing != nil {
		return f.nothing
	}
	if f.memory > 0 {
		return pipeline.Badf("limit.memory", "no subnet fits in %d bytes on %s; the least is %d bytes", l.Memory, c.Platform.Name, f.memory)
	}
	with := ""
	if l.Memory > 0 {
		with = fmt.Sprintf(" in %d bytes of memory", l.Memory)
	}
	if l.Latency > 0 && f.fastest > l.Latency {
		return pipeline.Badf("limit.latency", "no subnet is as fast as %.6g ms on %s%s; the least latency is %s ms",
			1e3*l.Latency, c.Platform.Name, with, enough(1e3*f.fastest))
	}
	if energy := f.fastest * c.Platform.Power; l.Energy > 0 && energy > l.Energy {
		return pipeline.Badf("limit.energy", "no subnet takes as little as %.6g µJ on %s%s; the least energy is %s µJ",
			1e6*l.Energy, c.Platform.Name, with, enough(1e6*energy))
	}
	if l.Params > 0 && f.params > l.Params {
		return pipeline.Badf("limit.params", "no subnet has as few as %d parameters; the smallest has %d", l.Params, f.params)
	}
	if l.MACs > 0 && f.macs > l.MACs {
		return pipeline.Badf("limit.macs", "no subnet has as few as %d MACs; the smallest has %d", l.MACs, f.macs)
	}
	return nil
}

// enough writes a number with six digits, rounded up, so that it can be written as a
// limit that is met.
func enough(v float64) string {
	digit := float.Pow(10, math.Floor(float.Log10(v))-5)
	return fmt.Sprintf("%.6g", math.Ceil(v/digit)*digit)
}

// nothingRuns explains why not even the smallest subnet runs on the platform.
func (s *evolution) nothingRuns() error {
	e, err := s.Platform.Estimate(s.codec.space.Network(s.codec.space.Smallest()))
	if err == nil {
		err = fmt.Errorf("%s: more weights than the %d bytes that it supports in a layer", strings.Join(e.Unsupported, ", "), s.Platform.WeightLimit)
	}
	return pipeline.Badf("platform", "no subnet of the space runs on %s: %w", s.Platform.Name, err)
}
