// Package predictor is the stage that learns to predict the accuracy of a
// supernet's subnets, so that a search need not measure each.
package predictor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/predict"
	"eyrie/nas/torch"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the train-predictor stage.
var Stage = pipeline.Define("train-predictor", 3,
	`Learns to predict the accuracy of a supernet's subnets from measured ones.

Random subnets are measured on training images that train-supernet held out. Of
ridge regression, nearest neighbours and a small neural network the one that
ranks best in cross-validation is taken (or write method). How far to trust it is
said by the rank correlation (Kendall's τ) and the error on subnets that were
measured, and that neither the choice of the method nor its fit has seen.

A measurement is a sample of images, and differs on others. So the unseen subnets
are measured on the test images, too: ceiling is how well measuring them on the
images held out ranks them as the test images do, and kendall_test how well the
predictor does, which has seen neither them nor these images.`,
	Config{Samples: 300, Unseen: 0.2, Folds: 5, Method: Auto, Calibration: 2000, Choice: backend.Choice{Arithmetic: nn.Auto}, Seed: 1}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Supernet    artifacts.File `json:"supernet" is:"file" doc:"weights of a trained supernet"`
	Dataset     data.Set       `json:"dataset" doc:"the images that it was trained on"`
	Holdout     int            `json:"holdout" min:"1" doc:"the holdout of train-supernet: how many training images it did not train on, to measure on"`
	Samples     int            `json:"samples" min:"10" max:"100000" doc:"subnets to measure"`
	Unseen      float64        `json:"unseen" min:"0.01" max:"0.9" doc:"share of the samples kept back to judge the predictor by"`
	Folds       int            `json:"folds" min:"2" max:"50" doc:"folds of the cross-validation that picks the method"`
	Method      Method         `json:"method" doc:"how to predict; auto: what ranks best in cross-validation"`
	Calibration int            `json:"calibration" min:"1" doc:"training images from which a subnet's batch normalisation is estimated before it is measured"`
	backend.Choice
	Seed uint32 `json:"seed" doc:"of the samples, the folds and the neural network"`
}

// Method is how to predict: Auto, or the name of one of predict.Methods.
type Method string

// Auto takes the method that ranks best in cross-validation.
const Auto Method = "auto"

// Choices returns the methods.
func (Method) Choices() []string {
	names := []string{string(Auto)}
	for _, m := range predict.Methods(0) {
		names = append(names, m.Name)
	}
	return names
}

// Output is what the block's references yield.
type Output struct {
	Predictor    artifacts.File `json:"predictor" doc:"what evolve takes: JSON with the method and all samples"`
	Method       string         `json:"method" doc:"the method taken"`
	Kendall      float64        `json:"kendall" provenance:"measured" doc:"rank correlation τ-b on unseen subnets, in −1 … 1"`
	KendallError float64        `json:"kendall_error" provenance:"measured" doc:"standard error of kendall: other unseen subnets would give another one"`
	KendallTest  float64        `json:"kendall_test" provenance:"measured" doc:"rank correlation of the predictions with accuracy on the test images"`
	Ceiling      float64        `json:"ceiling" provenance:"measured" doc:"rank correlation of accuracy on the images held out with that on the test images: what kendall_test would be had the subnets been measured"`
	RMSE         float64        `json:"rmse" provenance:"measured" doc:"root mean square error on unseen subnets, in parts of 1"`
	MAE          float64        `json:"mae" provenance:"measured" doc:"mean absolute error on unseen subnets"`
	Methods      []Score        `json:"methods" provenance:"measured" doc:"every method in cross-validation on the other subnets"`
	Unseen       []Pair         `json:"unseen" doc:"each unseen subnet, by measured accuracy"`
	Measured     int            `json:"measured" doc:"measurements of accuracy"`
	Torch        *torch.Report  `json:"torch,omitempty" doc:"what has computed, with backend torch"`
}

// Score is how well a method does.
type Score struct {
	Method  string  `json:"method" doc:"ridge, k-nn or mlp"`
	Kendall float64 `json:"kendall" doc:"rank correlation τ-b"`
	RMSE    float64 `json:"rmse" doc:"root mean square error"`
	MAE     float64 `json:"mae" doc:"mean absolute error"`
}

// Pair is an unseen subnet.
type Pair struct {
	Top1      float64     `json:"top1" provenance:"measured" doc:"accuracy on the images held out"`
	Test      float64     `json:"test" provenance:"measured" doc:"accuracy on the test images"`
	Predicted float64     `json:"predicted" provenance:"predicted" doc:"the predictor's estimate"`
	Subnet    arch.Subnet `json:"subnet" doc:"the subnet"`
}

// Check reports images or samples that do not suffice.
func (c Config) Check(r *mistake.Report) {
	if about, ok := nn.Foreseen(&c.Supernet); ok {
		r.At("supernet").Add(about.Shared())
	}
	meter.CheckFit(r, &c.Supernet, &c.Dataset, c.Holdout)
	meter.CheckCalibration(r, &c.Dataset, c.Holdout, c.Calibration)
	c.Choice.Check(r)
	if r.Knows("samples", "unseen", "folds") {
		if seen := c.Samples - c.unseen(); seen < c.Folds {
			r.At("samples").Badf("%d samples less %d unseen ones leave %d for %d folds", c.Samples, c.unseen(), seen, c.Folds)
		}
	}
}

// unseen returns how many samples are kept back; a correlation takes two.
func (c Config) unseen() int { return max(2, int(float64(c.Unseen*float64(c.Samples))+0.5)) }

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	supernet, err := nn.Load(c.Supernet.Path)
	if err != nil {
		return Output{}, pipeline.Badf("supernet", "%w (write the weights of a train-supernet step)", err)
	}
	if err := supernet.About().Shared(); err != nil {
		return Output{}, mistake.Within("supernet", err)
	}
	space := supernet.Space()
	if size := space.Size(); size.IsInt64() && size.Int64() < int64(c.Samples) {
		return Output{}, pipeline.Badf("samples", "%d, but the space has only %d subnets", c.Samples, size)
	}
	m, err := c.Meter(ctx, task, meter.Options{
		Supernet: supernet, Set: c.Dataset, Holdout: c.Holdout, Calibration: c.Calibration, Dir: task.Checkpoint(),
	})
	if err != nil {
		return Output{}, err
	}
	defer m.Close()
	samples, tested, err := c.measure(ctx, task, m, space)
	if err != nil {
		return Output{}, err
	}
	out, err := c.learn(task, space, samples, tested)
	out.Torch = backend.Report(m.Evaluator())
	return out, err
}

// measure measures random subnets, each another one, on the images held out,
// and the first of them, those to be unseen, on the test images.
func (c Config) measure(ctx context.Context, task *pipeline.Task, m *meter.Meter, space arch.Space) (samples []predict.Sample, tested []float64, err error) {
	if n := m.Count(); n > 0 {
		task.Log().Info().Int("measured", n).Msgf("going on with the %d measurements of the interrupted run", n)
	}
	done := 0
	report := func(top1 float64) {
		done++
		task.Report(pipeline.Progress{
			Done: float64(done), Total: float64(c.Samples + c.unseen()), Unit: "measurements", Note: fmt.Sprintf("top-1 %.3f", top1),
		})
	}
	subnets := c.draw(space)
	if err := m.HeldOutAll(ctx, subnets, report); err != nil {
		return nil, nil, err
	}
	if err := m.TestAll(ctx, subnets[:c.unseen()], report); err != nil {
		return nil, nil, err
	}
	for i, n := range subnets {
		top1, err := m.HeldOut(ctx, n)
		if err != nil {
			return nil, nil, err
		}
		samples = append(samples, predict.Sample{Subnet: n, Top1: top1})
		if i < c.unseen() {
			if top1, err = m.Test(ctx, n); err != nil {
				return nil, nil, err
			}
			tested = append(tested, top1)
		}
	}
	return samples, tested, nil
}

// draw draws the subnets to measure, each once.
func (c Config) draw(space arch.Space) (subnets []arch.Subnet) {
	rng := rand.New(rand.NewPCG(uint64(c.Seed), 3))
	known := map[string]bool{}
	for len(subnets) < c.Samples {
		if n := space.Sample(rng); !known[n.String()] {
			known[n.String()] = true
			subnets = append(subnets, n)
		}
	}
	return subnets
}

// learn picks the method, judges it by the unseen samples, the first ones, which
// were tested as well, and fits it to all.
func (c Config) learn(task *pipeline.Task, space arch.Space, samples []predict.Sample, tested []float64) (Output, error) {
	seen, unseen := samples[c.unseen():], samples[:c.unseen()]
	out := Output{Measured: len(samples) + len(tested), Method: string(c.Method)}
	c.compare(&out, space, seen)
	judged, err := predict.NewPredictor(space, out.Method, uint64(c.Seed), seen)
	if err != nil {
		return out, err
	}
	predicted, measured := make([]float64, len(unseen)), make([]float64, len(unseen))
	for i, s := range unseen {
		predicted[i], measured[i] = judged.Predict(s.Subnet), s.Top1
		out.Unseen = append(out.Unseen, Pair{s.Top1, tested[i], predicted[i], s.Subnet})
	}
	slices.SortStableFunc(out.Unseen, func(a, b Pair) int { return cmp.Compare(a.Top1, b.Top1) })
	score := predict.Compare(predicted, measured)
	out.Kendall, out.RMSE, out.MAE = score.Kendall, score.RMSE, score.MAE
	out.KendallError = predict.KendallError(predicted, measured)
	out.KendallTest, out.Ceiling = predict.Kendall(predicted, tested), predict.Kendall(measured, tested)

	final := &predict.Predictor{Space: space, Method: out.Method, Seed: uint64(c.Seed), Samples: samples}
	b, err := json.Marshal(final)
	if err != nil {
		return out, err
	}
	path := task.Path("predictor.json")
	out.Predictor = artifacts.Local(path)
	return out, os.WriteFile(path, b, 0o644)
}

// compare scores the methods by cross-validation, and takes the best of them
// where the recipe leaves that open.
func (c Config) compare(out *Output, space arch.Space, seen []predict.Sample) {
	encoder := predict.NewEncoder(space)
	x, y := make([][]float64, len(seen)), make([]float64, len(seen))
	for i, s := range seen {
		x[i], y[i] = encoder.Encode(s.Subnet), s.Top1
	}
	methods := predict.Methods(uint64(c.Seed))
	best := -2.0
	for i, s := range predict.CrossValidate(methods, x, y, c.Folds, uint64(c.Seed)) {
		out.Methods = append(out.Methods, Score{methods[i].Name, s.Kendall, s.RMSE, s.MAE})
		if c.Method == Auto && s.Kendall > best {
			best, out.Method = s.Kendall, methods[i].Name
		}
	}
}
