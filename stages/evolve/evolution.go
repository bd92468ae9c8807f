package evolve

import (
	"context"

	"eyrie/nas/arch"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/predict"
	"eyrie/nas/search"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// evolution is a search under way.
type evolution struct {
	Config
	task      *pipeline.Task
	supernet  *nn.Supernet       // nil without weights
	predictor *predict.Predictor // nil without one
	meter     *meter.Meter       // nil without images
	codec     *codec
	model     *model
	objective objective
	optimum   *Optimum // nil where it is not known
	most      float64  // the optimum's objective

	evaluated int
	within    []found              // every candidate within the limits, in order
	nearest   search.Trial[genome] // the candidate that violated them least
	history   []mark
}

// mark is when the search found a better candidate than ever before.
type mark struct {
	evaluated int
	best      float64 // its objective
}

// found is a candidate within the limits.
type found struct {
	genome genome
	costs  costs
	score  []float64 // the objective, and the costs named in Against, negative
}

func newEvolution(ctx context.Context, task *pipeline.Task, c Config) (*evolution, error) {
	s := &evolution{Config: c, task: task, within: make([]found, 0, min(1<<20, c.Population*(c.Iterations+1)))}
	space, err := s.open()
	if err != nil {
		return nil, err
	}
	if s.codec, err = newCodec(space); err != nil {
		return nil, pipeline.Badf("space", "%w", err)
	}
	if s.model, err = newModel(c.Platform, s.codec); err != nil {
		return nil, err
	}
	switch c.Objective {
	case Accuracy:
		s.objective = s.accuracy()
	case Predicted:
		s.objective = s.predicted()
	default:
		s.objective = macs()
	}
	if c.Dataset == nil {
		return s, nil
	}
	s.meter, err = c.Meter(ctx, task, meter.Options{
		Supernet: s.supernet, Set: *c.Dataset, Holdout: c.Holdout, Calibration: c.Calibration,
		Dir: task.Checkpoint(),
	})
	if err != nil {
		return nil, err
	}
	if n := s.meter.Count(); n > 0 {
		task.Log().Info().Int("measured", n).Msgf("going on with the %d measurements of the interrupted search", n)
	}
	return s, nil
}

// open reads the supernet and the predictor, and returns the space to search.
func (s *evolution) open() (space arch.Space, err error) {
	whole := s.Space
	if s.Supernet != nil {
		if s.supernet, err = nn.Load(s.Supernet.Path); err != nil {
			return space, pipeline.Badf("supernet", "%w (write the weights of a train-supernet step)", err)
		}
		if err := s.supernet.About().Shared(); err != nil {
			return space, mistake.Within("supernet", err)
		}
		space = s.supernet.Space()
		whole = &space
	}
	if s.Predictor != nil {
		if s.predictor, err = readPredictor(*s.Predictor, whole); err != nil {
			return space, err
		}
		whole = &s.predictor.Space
	}
	return s.narrow(*whole)
}

func (s *evolution) close() {
	if s.meter != nil {
		s.meter.Close()
	}
}
