package predict

import (
	"encoding/json"
	"errors"
	"fmt"

	"eyrie/nas/arch"
)

// Sample is a subnet whose accuracy was measured.
type Sample struct {
	Subnet arch.Subnet `json:"subnet"`
	Top1   float64     `json:"top1"`
}

// revision counts how often the methods' results changed. A search's key has
// only the digest of the predictor's JSON, so this is part of it: what is
// learned again from equal samples is then equal, too.
const revision = 2

// Predictor estimates the accuracy of a space's subnets from samples. In JSON
// it is the samples: what it learned is learned again when it is read.
type Predictor struct {
	Space   arch.Space `json:"space"`
	Method  string     `json:"method"`
	Seed    uint64     `json:"seed"`
	Samples []Sample   `json:"samples"`

	encoder *Encoder
	model   Model
}

// NewPredictor fits the method of this name, one of [Methods], to the samples.
func NewPredictor(space arch.Space, method string, seed uint64, samples []Sample) (*Predictor, error) {
	p := &Predictor{Space: space, Method: method, Seed: seed, Samples: samples}
	return p, p.fit()
}

// fields are a predictor's in JSON.
type fields Predictor

// MarshalJSON adds the revision.
func (p Predictor) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Revision int `json:"revision"`
		fields
	}{revision, fields(p)})
}

// Parse reads a predictor's JSON.
func Parse(b []byte) (*Predictor, error) {
	var read struct {
		Revision int `json:"revision"`
		fields
	}
	if err := json.Unmarshal(b, &read); err != nil {
		return nil, fmt.Errorf("not a predictor: %w", err)
	}
	if read.Revision != revision {
		return nil, errors.New("not a predictor that this version trained: train it again")
	}
	p := (*Predictor)(&read.fields)
	if err := p.Space.Validate(); err != nil {
		return nil, fmt.Errorf("not a predictor: space: %w", err)
	}
	if err := p.fit(); err != nil {
		return nil, fmt.Errorf("not a predictor: %w", err)
	}
	return p, nil
}

func (p *Predictor) fit() error {
	if len(p.Samples) == 0 {
		return errors.New("it has no samples")
	}
	p.encoder = NewEncoder(p.Space)
	x, y := make([][]float64, len(p.Samples)), make([]float64, len(p.Samples))
	for i, s := range p.Samples {
		if err := p.Space.Contains(s.Subnet); err != nil {
			return fmt.Errorf("sample %d: %w", i, err)
		}
		x[i], y[i] = p.encoder.Encode(s.Subnet), s.Top1
	}
	for _, m := range Methods(p.Seed) {
		if m.Name == p.Method {
			p.model = m.Fit(x, y)
			return nil
		}
	}
	return fmt.Errorf("there is no method %q", p.Method)
}

// Predict estimates the accuracy of a subnet of the space.
func (p *Predictor) Predict(n arch.Subnet) float64 { return p.model.Predict(p.encoder.Encode(n)) }

// Additive returns, where the model is linear, what it adds up: an intercept
// and a weight for each feature of the encoder.
func (p *Predictor) Additive() (intercept float64, weights []float64, ok bool) {
	r, ok := p.model.(Ridge)
	return r.Intercept, r.Weights, ok
}

// Encoder turns subnets into features: after Once-for-All, a one of many for
// the resolution, and for each block that a subnet can have one for its
// expansion and one for its kernel, all zero beyond the depth. A block's
// features are there twice: once for all resolutions and once for the
// subnet's, as what a block is worth depends on how much there is to see. So a
// linear model still adds up block by block.
type Encoder struct {
	space  arch.Space
	first  []int // of each group: its first feature
	blocks int   // features of all blocks
}

// NewEncoder returns the encoder of a space.
func NewEncoder(space arch.Space) *Encoder {
	e := &Encoder{space: space}
	for i := range space.Backbone.Groups {
		e.first = append(e.first, len(space.Resolutions)+e.blocks)
		if space.Elastic(i) {
			depths := space.GroupDepths(i)
			e.blocks += depths[len(depths)-1] * e.perBlock()
		}
	}
	return e
}

func (e *Encoder) perBlock() int { return len(e.space.Expansions) + len(e.space.Kernels) }

// Encode returns the features of a subnet of the space.
func (e *Encoder) Encode(n arch.Subnet) []float64 {
	x := make([]float64, len(e.space.Resolutions)+e.blocks*(1+len(e.space.Resolutions)))
	x[e.Resolution(n.Resolution)] = 1
	for i, blocks := range n.Groups {
		for j, b := range blocks {
			for _, f := range e.Block(n.Resolution, i, j, b) {
				x[f] = 1
			}
		}
	}
	return x
}

// Resolution returns the feature that a resolution sets.
func (e *Encoder) Resolution(pixels int) int { return index(e.space.Resolutions, pixels) }

// Block returns the features that block j of a group sets at a resolution.
func (e *Encoder) Block(pixels, group, j int, b arch.Block) []int {
	if !e.space.Elastic(group) {
		return nil
	}
	at := e.first[group] + j*e.perBlock()
	t, k := at+index(e.space.Expansions, b.Expansion), at+len(e.space.Expansions)+index(e.space.Kernels, b.Kernel)
	own := e.blocks * (1 + e.Resolution(pixels)) // from a feature for all resolutions to that for this one
	return []int{t, k, t + own, k + own}
}

// index returns where v is; programmers see to it that it is somewhere.
func index(values []int, v int) int {
	for i, x := range values {
		if x == v {
			return i
		}
	}
	panic(fmt.Sprintf("predict: %d is none of %v", v, values))
}
