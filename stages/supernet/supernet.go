// Package supernet is the stage that trains a supernet: one set of weights for
// all subnets of an elastic space.
package supernet

import (
	"context"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/nn"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the train-supernet stage. The defaults are the paper's values
// (section 3.1), and Once-for-All's where the paper gives none.
var Stage = pipeline.Define("train-supernet", 3,
	`Trains a weight-sharing supernet on the CPU, after Once-for-All.

schedule = "sandwich": at each step the largest subnet learns from the labels,
and the smallest and some random subnets from the largest one's predictions
(in-place distillation).

schedule = "progressive": Once-for-All's progressive shrinking: the largest
network first, then elastic kernels, depths and expansions, each phase
learning from the labels and from the largest network as it was trained.

Write phases to set each phase yourself. Training is interrupted and resumed
at any step without a difference in the result, which does not depend on the
number of threads either.`,
	Config{
		Epochs: 450, Schedule: Sandwich, Batch: 64,
		Rate: 0.03, Momentum: 0.9, Nesterov: true, Decay: 3e-5, Smoothing: 0.1,
		Subnets: 2, Calibration: 2000, CurveImages: 1000, Arithmetic: nn.Auto, CheckpointEvery: 2,
	}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Space   arch.Space `json:"space" doc:"the elastic space"`
	Dataset data.Set   `json:"dataset" doc:"the images"`
	Holdout int        `json:"holdout,omitempty" min:"0" doc:"training images that are kept back, for a search to be judged on"`

	Schedule Schedule `json:"schedule" doc:"how the subnets take turns"`
	Epochs   float64  `json:"epochs" min:"0" doc:"passes over the training images, over all phases"`
	Subnets  int      `json:"subnets" min:"0" doc:"sandwich: random subnets per step, beside the largest and the smallest"`
	Phases   []Phase  `json:"phases,omitempty" doc:"each phase, in place of schedule, epochs and subnets"`

	Batch     int          `json:"batch" min:"1" doc:"images in a step"`
	Rate      float64      `json:"rate" min:"0" doc:"learning rate at the start; it falls to 0 along a cosine in each phase"`
	Warmup    float64      `json:"warmup,omitempty" min:"0" doc:"epochs over which the rate first rises, in the first phase"`
	Momentum  float64      `json:"momentum" min:"0" max:"1" doc:"of stochastic gradient descent"`
	Nesterov  bool         `json:"nesterov" doc:"Nesterov's momentum"`
	Decay     float64      `json:"weight_decay" min:"0" doc:"weight decay; not of batch normalisation and biases"`
	Smoothing float64      `json:"label_smoothing" min:"0" max:"1" doc:"this much of each label is spread over all classes"`
	Augment   data.Augment `json:"augment,omitzero" doc:"how training images are varied at random"`
	Seed      uint32       `json:"seed,omitempty" doc:"of the weights, the order of images and the subnets"`

	Calibration int           `json:"calibration" min:"1" doc:"training images from which a subnet's batch normalisation takes its statistics"`
	CurveImages int           `json:"curve_images,omitempty" min:"0" doc:"test images on which the largest and the smallest subnet are measured after each epoch, for the curve; 0 for none"`
	Arithmetic  nn.Arithmetic `json:"arithmetic" doc:"the kernels that compute: the fastest of this machine, or those named; \"go\" rounds the same on every machine"`

	Threads         int     `json:"threads,omitempty" min:"0" key:"-" doc:"0 for what the run grants; more than 8 are of no use"`
	CheckpointEvery float64 `json:"checkpoint_every" min:"0" unit:"s" key:"-" doc:"how often the state is saved"`
}

// Output is what the block's references yield.
type Output struct {
	Weights      artifacts.File `json:"weights" doc:"the shared weights, as safetensors"`
	Space        arch.Space     `json:"space" doc:"the elastic space"`
	Top1Largest  float64        `json:"top1_largest" doc:"accuracy of the largest subnet on all test images" provenance:"measured"`
	Top1Smallest float64        `json:"top1_smallest" doc:"accuracy of the smallest subnet on all test images" provenance:"measured"`
	Steps        int            `json:"steps" doc:"steps that were trained"`
	Params       int            `json:"params" doc:"number of shared weights"`
	Curve        artifacts.File `json:"curve" doc:"loss and accuracies over the steps, as CSV"`
	CurvePlot    artifacts.File `json:"curve_plot" doc:"the same, as SVG"`
}

// Check reports the mistakes of the space and the phases, and images that do not fit.
func (c Config) Check(r *mistake.Report) {
	c.Space.Check(r.At("space"))
	if want := c.Dataset.Classes; r.Knows("space.backbone.classes", "dataset.classes") && want != 0 && c.Space.Backbone.Classes != want {
		r.In("space.backbone.classes").Badf("%d, but the data set has %d classes", c.Space.Backbone.Classes, want)
	}
	if want := c.Dataset.Channels; r.Knows("space.backbone.input", "dataset.channels") && want != 0 && c.Space.Backbone.Input != want {
		r.In("space.backbone.input").Badf("%d, but the data set's images have %d channels", c.Space.Backbone.Input, want)
	}
	if n := c.Dataset.Train.Count; r.Knows("dataset.train.count", "holdout") && n != 0 {
		if n <= c.Holdout {
			r.At("holdout").Badf("%d images held out of %d leave none to train on", c.Holdout, n)
		} else if r.Knows("batch") && n-c.Holdout < c.Batch {
			r.At("batch").Badf("%d images, but the data set has only %d to train on", c.Batch, n-c.Holdout)
		}
	}
	for i, p := range c.Phases {
		p.check(r, i, c.Space)
	}
}

// Foresee returns the space, and promises weights of this space that were not trained on
// the images held out.
func (c Config) Foresee(knows func(paths ...string) bool) pipeline.Partial {
	outputs := pipeline.Partial{}
	if knows("space") {
		outputs["space"] = c.Space
		if knows("holdout") {
			outputs["weights"] = nn.About{Space: c.Space, HeldOut: c.Holdout}.Promise()
		}
	}
	return outputs
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	t, err := begin(task, c)
	if err != nil {
		return Output{}, err
	}
	defer t.close()
	if err := t.train(ctx); err != nil {
		return Output{}, err
	}
	return t.finish(ctx)
}

// finish measures the trained supernet and writes the outputs.
func (t *training) finish(ctx context.Context) (out Output, err error) {
	t.task.Report(t.progress("measuring the largest and the smallest subnet"))
	v := t.evaluator(t.test)
	if err := v.Calibrate(ctx); err != nil {
		return out, err
	}
	out = Output{Space: t.Space, Steps: t.step, Params: t.net.Params()}
	if out.Top1Largest, err = v.Accuracy(ctx, t.Space.Largest()); err != nil {
		return out, err
	}
	if out.Top1Smallest, err = v.Accuracy(ctx, t.Space.Smallest()); err != nil {
		return out, err
	}
	t.net.HeldOut = t.Holdout
	path := t.task.Path("supernet.safetensors")
	if err := t.net.Save(path); err != nil {
		return out, err
	}
	out.Weights = artifacts.Local(path)
	out.Curve, out.CurvePlot, err = t.curve.write(t.task.Path("curve.csv"), t.task.Path("curve.svg"))
	return out, err
}

// evaluator returns an evaluator on the images of split.
func (t *training) evaluator(split *data.Split) *nn.Evaluator {
	return nn.NewEvaluator(t.engine, t.net, t.calibration, split, t.Batch)
}
