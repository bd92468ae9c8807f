package evolve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/predict"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// objective is what makes a subnet better: the larger its score.
type objective struct {
	score func(context.Context, genome, costs) (float64, error)
	note  func(best float64) string // the best score in words
	field func(*Progress) **float64 // where the best score belongs
	// adds returns what a choice adds to the score, where choices add up: so that
	// the optimum can be found exactly. nil where they do not.
	adds func(step, raptor.Edge) float64
}

// macs is the paper's objective.
func macs() objective {
	return objective{
		score: func(_ context.Context, _ genome, c costs) (float64, error) { return float64(c.MACs), nil },
		note:  func(best float64) string { return fmt.Sprintf("best %.4g M MACs", best/1e6) },
		field: func(p *Progress) **float64 { return &p.MACs },
		adds:  func(_ step, e raptor.Edge) float64 { return float64(e.MACs) },
	}
}

// accuracy is what is measured on images held out of training.
func (s *evolution) accuracy() objective {
	return objective{
		score: func(ctx context.Context, g genome, _ costs) (float64, error) {
			return s.meter.HeldOut(ctx, s.codec.decode(g))
		},
		note:  func(best float64) string { return fmt.Sprintf("best top-1 %.4f", best) },
		field: func(p *Progress) **float64 { return &p.Top1 },
	}
}

// predicted is what a predictor estimates. A linear one's estimate adds up.
func (s *evolution) predicted() objective {
	p := s.predictor
	o := objective{
		score: func(_ context.Context, g genome, _ costs) (float64, error) {
			return p.Predict(s.codec.decode(g)), nil
		},
		note:  func(best float64) string { return fmt.Sprintf("best predicted top-1 %.4f", best) },
		field: func(p *Progress) **float64 { return &p.Predicted },
	}
	intercept, weights, ok := p.Additive()
	if !ok {
		return o
	}
	encoder := predict.NewEncoder(p.Space)
	o.adds = func(st step, _ raptor.Edge) float64 {
		switch group := st.node.Group; {
		case st.start:
			return intercept + weights[encoder.Resolution(st.resolution)]
		case group < 0 || group == len(p.Space.Backbone.Groups):
			return 0
		}
		sum := 0.0
		for _, f := range encoder.Block(st.resolution, st.node.Group, st.node.Index, st.node.Block) {
			sum += weights[f]
		}
		return sum
	}
	return o
}

// readPredictor reads a predictor, which must be of the given space.
func readPredictor(f artifacts.File, space *arch.Space) (*predict.Predictor, error) {
	b, err := f.ReadFile()
	if err != nil {
		return nil, pipeline.Badf("predictor", "%w", err)
	}
	p, err := predict.Parse(b)
	if err != nil {
		return nil, pipeline.Badf("predictor", "%w (write the predictor of a train-predictor step)", err)
	}
	if space != nil {
		mine, err := json.Marshal(space)
		if err != nil {
			return nil, err
		}
		if its, err := json.Marshal(p.Space); err != nil || !bytes.Equal(mine, its) {
			return nil, pipeline.Badf("predictor", "it was trained in another space than the one that is searched: write that of a train-predictor step with the same supernet or space")
		}
	}
	return p, nil
}
