// Package network is the stage that trains one network: what a search has found, from the
// supernet's weights or from none, or a network to compare it with.
package network

import (
	"context"
	"errors"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/nn/deployed"
	"eyrie/nas/torch"
	"eyrie/nas/train"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the train-network stage. Its defaults are those of train-supernet.
var Stage = pipeline.Define("train-network", 1,
	`Trains one network, or fine-tunes it: a subnet of a space, or a scaled MobileNetV2.

With weights it begins with those that the network has among them: a supernet's, after a
search, or those of another train-network step. Without, it begins at random.

    network = stage.found.network
    weights = stage.supernet.weights
    epochs  = 10
    rate    = 0.003 # a tenth of what trained them

The network gets as many classes as the data set has. Where the weights have another number
of classes, the classifier begins anew and all else is kept.

The output weights hold this network alone: export it by deploy-estimate, with the output
network and these weights as its supernet. They cannot be searched.

With quantise, on backend torch, it learns to bear being quantised: each step rounds weights
and activations as they are in int8. Fine-tune so what was trained without, at a small rate:

    weights  = stage.network.weights
    quantise = "int8"
    backend  = "torch"

The output top1 is without rounding; deploy-estimate measures what int8 does, with the same
integers as an accelerator.

Training is interrupted and resumed at any step without a difference in the result. With
backend = "go" it does not depend on the number of threads either. backend = "torch" trains
with PyTorch: see train-supernet.`,
	Config{
		Settings: train.Defaults(), Choice: backend.Choice{Arithmetic: nn.Auto}, Execution: train.Execution{CheckpointEvery: 2},
	}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Network arch.Spec       `json:"network" doc:"what to train: space and subnet, or width and resolution"`
	Weights *artifacts.File `json:"weights" is:"file" doc:"what it begins with: weights of train-supernet or train-network; at random where none are written"`
	Dataset data.Set        `json:"dataset" doc:"the images"`
	Holdout int             `json:"holdout,omitempty" min:"0" doc:"training images that are kept back"`
	Epochs  float64         `json:"epochs" min:"0" doc:"passes over the training images"`

	Quantise deployed.Encoding `json:"quantise,omitempty" doc:"backend torch: train with weights and activations rounded as deploy-estimate quantises them, so that the network loses less by that: the encoding it is to have, \"uint8\", \"int8\" (the same integers) or \"int7\""`

	train.Settings
	backend.Choice
	train.Execution
}

// Output is what the block's references yield.
type Output struct {
	Weights   artifacts.File `json:"weights" doc:"the network's weights, as safetensors: deploy-estimate and train-network take them"`
	Network   arch.Spec      `json:"network" doc:"the network as other stages take it, with the data set's classes"`
	Top1      float64        `json:"top1" doc:"its accuracy on all test images" provenance:"measured"`
	Steps     int            `json:"steps" doc:"steps that were trained"`
	Params    int64          `json:"params" doc:"weights and the classifier's biases"`
	Curve     artifacts.File `json:"curve" doc:"loss and accuracies over the steps, as CSV"`
	CurvePlot artifacts.File `json:"curve_plot" doc:"the same, as SVG"`
	Torch     *torch.Report  `json:"torch,omitempty" doc:"what has computed, with backend torch"`
}

// Check reports the mistakes of the network, and images and weights that do not fit it.
func (c Config) Check(r *mistake.Report) {
	c.Network.Check(r.At("network"))
	if in := r.At("network"); in.Knows() && in.Sound() {
		c.checkNetwork(r)
	}
	c.CheckImages(r, c.Dataset, c.Holdout)
	c.CheckEpochs(r, "epochs", c.Epochs, c.Dataset, c.Holdout)
	if r.Knows("quantise", "backend") && c.Quantise != "" && c.Backend != backend.Torch {
		r.At("quantise").Badf("needs backend = %q: Go's kernels train without rounding", backend.Torch)
	}
	c.Choice.Check(r)
	c.CheckBatch(r, c.Batch)
}

// checkNetwork reports why the network cannot be trained on the images, or from the weights.
func (c Config) checkNetwork(r *mistake.Report) {
	space, subnet, err := c.member()
	if err != nil {
		r.At("network").Add(err)
		return
	}
	if got, want := space.Backbone.Input, c.Dataset.Channels; r.Knows("dataset.channels") && want != 0 && got != want {
		r.At("network").Badf("it takes images of %d channels, but the data set's have %d: write a backbone with input = %d", got, want, want)
	}
	c.CheckMaps(r, c.Batch, space.Network(subnet))
	if about, ok := nn.Foreseen(c.Weights); ok {
		r.At("weights").Add(about.Holds(space, subnet))
		if r.Knows("holdout", "dataset.classes") {
			r.At("holdout").Add(c.heldOut(about))
		}
	}
}

// heldOut returns an error where images are to be kept back that the weights were trained on.
// Those of other classes were trained on other images.
func (c Config) heldOut(weights nn.About) error {
	if weights.Space.Backbone.Classes != c.Dataset.Classes {
		return nil
	}
	return weights.Holdout(c.Holdout)
}

// member returns the network as a subnet of a space of its own, with the data set's classes.
func (c Config) member() (arch.Space, arch.Subnet, error) {
	space, subnet, err := c.Network.Member()
	if c.Dataset.Classes > 0 {
		space.Backbone.Classes = c.Dataset.Classes
	}
	return space, subnet, err
}

// spec returns the network as other stages take it.
func (c Config) spec(space arch.Space, subnet arch.Subnet) (arch.Spec, error) {
	net, err := c.Network.Network()
	return arch.Spec{Name: net.Name, Space: &space, Subnet: &subnet}, err
}

// Foresee returns the network, and promises weights of it that were not trained on the
// images held out.
func (c Config) Foresee(knows func(paths ...string) bool) pipeline.Partial {
	outputs := pipeline.Partial{}
	if !knows("network", "dataset.classes") || c.Dataset.Classes == 0 {
		return outputs
	}
	space, subnet, err := c.member()
	if err != nil {
		return outputs
	}
	if outputs["network"], err = c.spec(space, subnet); err != nil {
		return pipeline.Partial{}
	}
	if knows("holdout") {
		outputs["weights"] = nn.About{Space: space, HeldOut: c.Holdout, Network: &subnet}.Promise()
	}
	return outputs
}

func run(ctx context.Context, task *pipeline.Task, c Config) (out Output, err error) {
	space, subnet, err := c.member()
	if err != nil {
		return out, mistake.Within("network", err)
	}
	net, err := c.begin(task, space, subnet)
	if err != nil {
		return out, err
	}
	plan := train.Alone(c.Settings, space, subnet, c.Epochs)
	plan.Holdout = c.Holdout
	if c.Quantise != "" {
		plan.Quantise = int(c.Quantise.Largest())
	}
	t := train.New(plan, c.Dataset, train.Options{
		Execution: c.Execution, Dir: task.Checkpoint(), Log: task.Log(),
		Report: func(images, of int, note string) {
			task.Report(pipeline.Progress{Done: float64(images), Total: float64(of), Unit: "images", Note: note})
		},
	})
	b, err := c.Open(ctx, backend.Limit(task, c.Threads), t.Job(net))
	if err != nil {
		return out, err
	}
	defer b.Close()
	if err := t.Run(ctx, b); err != nil {
		return out, err
	}
	return c.finish(ctx, task, t, b)
}

// begin returns the weights with which training begins.
func (c Config) begin(task *pipeline.Task, space arch.Space, subnet arch.Subnet) (*nn.Supernet, error) {
	net := nn.New(space, uint64(c.Seed))
	net.Network, net.HeldOut = &subnet, c.Holdout
	if c.Weights == nil {
		return net, nil
	}
	weights, err := nn.Load(c.Weights.Path)
	if err != nil {
		return nil, pipeline.Badf("weights", "%w (write the weights of a train-supernet or train-network step)", err)
	}
	if err := weights.About().Holds(space, subnet); err != nil {
		return nil, mistake.Within("weights", err)
	}
	if err := c.heldOut(weights.About()); err != nil {
		return nil, mistake.Within("holdout", err)
	}
	if !net.Adopt(weights, subnet) {
		task.Log().Info().Msgf("the classifier begins anew: the weights are for %d classes, the data set has %d", weights.Space().Backbone.Classes, c.Dataset.Classes)
	}
	return net, nil
}

// finish measures the trained network and writes the outputs.
func (c Config) finish(ctx context.Context, task *pipeline.Task, t *train.Training, b train.Backend) (out Output, err error) {
	t.Tell("measuring the network")
	on := meter.OnTest(c.Holdout, c.Calibration) // as deploy-estimate measures
	net, err := b.Supernet(ctx, on.Statistics, on.Batch)
	if err != nil {
		return out, err
	}
	out = Output{Steps: t.Steps(), Params: net.Space().Network(net.Main()).Params(), Torch: backend.Report(b)}
	if out.Network, err = c.spec(net.Space(), net.Main()); err != nil {
		return out, err
	}
	if out.Top1, err = t.Top1(ctx, net.Main(), on); err != nil {
		return out, err
	}
	weights, curve, plot := task.Path("network.safetensors"), task.Path("curve.csv"), task.Path("curve.svg")
	if err := errors.Join(net.Save(weights), t.WriteCurve(curve, plot)); err != nil {
		return out, err
	}
	out.Weights, out.Curve, out.CurvePlot = artifacts.Local(weights), artifacts.Local(curve), artifacts.Local(plot)
	return out, nil
}
