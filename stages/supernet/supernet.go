// Package supernet is the stage that trains a supernet: one set of weights for
// all subnets of an elastic space.
package supernet

import (
	"context"
	"errors"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/nn"
	"eyrie/nas/torch"
	"eyrie/nas/train"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the train-supernet stage.
var Stage = pipeline.Define("train-supernet", 3,
	`Trains a weight-sharing supernet, after Once-for-All.

schedule = "sandwich": at each step the largest subnet learns from the labels,
and the smallest and some random subnets from the largest one's predictions
(in-place distillation).

schedule = "progressive": Once-for-All's progressive shrinking: the largest
network first, then elastic kernels, depths and expansions, each phase
learning from the labels and from the largest network as it was trained.

Write phases to set each phase yourself. Training is interrupted and resumed
at any step without a difference in the result. With backend = "go" it does not
depend on the number of threads either.

backend = "torch" trains with PyTorch, on CPUs or on GPUs:

    backend = "torch"
    torch   = { device = "cuda", ranks = 4 }
    resources { gpus = 4 }

What is random is drawn in the same way, so that both backends train the same subnets on
the same images; the weights can be used with either. Several ranks share each batch, so
that batch normalisation sees fewer images: ranks change the result, as the device does.
Another number of CPUs may change how sums are rounded.`,
	Config{
		Schedule: Sandwich, Epochs: 450, Subnets: 2, // the paper's epochs
		Settings: train.Defaults(), Choice: backend.Choice{Arithmetic: nn.Auto}, Execution: train.Execution{CheckpointEvery: 2},
	}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Space   arch.Space `json:"space" doc:"the elastic space"`
	Dataset data.Set   `json:"dataset" doc:"the images"`
	Holdout int        `json:"holdout,omitempty" min:"0" doc:"training images that are kept back, for a search to be judged on"`

	Schedule Schedule      `json:"schedule" doc:"how the subnets take turns"`
	Epochs   float64       `json:"epochs" min:"0" doc:"passes over the training images, over all phases"`
	Subnets  int           `json:"subnets" min:"0" doc:"sandwich: random subnets per step, beside the largest and the smallest"`
	Phases   []train.Phase `json:"phases,omitempty" doc:"each phase, in place of schedule, epochs and subnets"`

	train.Settings
	backend.Choice
	train.Execution
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
	Torch        *torch.Report  `json:"torch,omitempty" doc:"what has computed, with backend torch"`
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
	c.CheckImages(r, c.Dataset, c.Holdout)
	for i, p := range c.Phases {
		train.CheckPhase(r, i, p, c.Space)
	}
	c.checkEpochs(r)
	c.Choice.Check(r)
	c.CheckBatch(r, c.Batch)
	if in := r.At("space"); in.Knows() && in.Sound() {
		c.CheckMaps(r, c.Batch, c.Space.Network(c.Space.Smallest()))
	}
}

// checkEpochs reports epochs, in all phases together, that make no step.
func (c Config) checkEpochs(r *mistake.Report) {
	attribute := "epochs"
	if len(c.Phases) > 0 || !r.Knows("phases") {
		attribute = "phases"
	}
	epochs := 0.0
	for _, p := range c.phases() {
		epochs += p.Epochs
	}
	c.CheckEpochs(r, attribute, epochs, c.Dataset, c.Holdout)
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

// Schedule is how the subnets take turns in a training.
type Schedule string

// The schedules.
const (
	Sandwich    Schedule = "sandwich"    // one phase of the rule of this name
	Progressive Schedule = "progressive" // Once-for-All's progressive shrinking
)

// Choices returns the schedules.
func (Schedule) Choices() []string { return []string{string(Sandwich), string(Progressive)} }

// phases returns the phases that the configuration asks for.
func (c Config) phases() []train.Phase {
	switch {
	case len(c.Phases) > 0:
		return c.Phases
	case c.Schedule == Progressive:
		return train.Progressive(c.Space, c.Epochs, c.Rate, c.Warmup)
	}
	return []train.Phase{{Name: string(Sandwich), Epochs: c.Epochs, Warmup: c.Warmup, Rule: train.SandwichRule, Subnets: c.Subnets}}
}

func run(ctx context.Context, task *pipeline.Task, c Config) (out Output, err error) {
	plan := train.Plan{Settings: c.Settings, Space: c.Space, Phases: c.phases(), Holdout: c.Holdout}
	t := train.New(plan, c.Dataset, train.Options{
		Execution: c.Execution, Dir: task.Checkpoint(), Log: task.Log(),
		Report: func(images, of int, note string) {
			task.Report(pipeline.Progress{Done: float64(images), Total: float64(of), Unit: "images", Note: note})
		},
	})
	b, err := c.Open(ctx, backend.Limit(task, c.Threads), t.Job(nn.New(c.Space, uint64(c.Seed))))
	if err != nil {
		return out, err
	}
	defer b.Close()
	if err := t.Run(ctx, b); err != nil {
		return out, err
	}
	return c.finish(ctx, task, t, b)
}

// finish measures the trained supernet and writes the outputs.
func (c Config) finish(ctx context.Context, task *pipeline.Task, t *train.Training, b train.Backend) (out Output, err error) {
	t.Tell("measuring the largest and the smallest subnet")
	net, err := b.Supernet(ctx, t.Statistics(), c.Batch)
	if err != nil {
		return out, err
	}
	out = Output{Space: c.Space, Steps: t.Steps(), Params: net.Params()}
	if out.Top1Largest, out.Top1Smallest, err = t.Ends(ctx, data.Selection{Part: data.TestPart}); err != nil {
		return out, err
	}
	net.HeldOut = c.Holdout
	weights, curve, plot := task.Path("supernet.safetensors"), task.Path("curve.csv"), task.Path("curve.svg")
	if err := errors.Join(net.Save(weights), t.WriteCurve(curve, plot)); err != nil {
		return out, err
	}
	out.Weights, out.Curve, out.CurvePlot = artifacts.Local(weights), artifacts.Local(curve), artifacts.Local(plot)
	out.Torch = backend.Report(b)
	return out, nil
}
