// Package deploy is the stage that says what a network costs on a platform, and
// why: the last step before it is built.
package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/nn/deployed"
	"eyrie/nas/raptor"
	"eyrie/nas/torch"
	"eyrie/pipeline"
	"eyrie/pipeline/float"
	"eyrie/pipeline/mistake"
)

// Stage is the deploy-estimate stage.
var Stage = pipeline.Define("deploy-estimate", 8,
	`Estimates a network on a platform: latency, energy, μ, memory, and how each layer runs.

The network is a scaled MobileNetV2, a subnet of a space, a list of layers, or a file in
the format of ONNX or TensorFlow Lite:

    network = { width = 0.5, resolution = 160 }
    network = stage.raptornet["70ms"].network
    network = { onnx = "${path.recipe}/net.onnx" }
    network = { tflite = "${path.recipe}/net.tflite" }

With the weights of the supernet that the subnet is of, or of train-network, and the dataset,
the subnet is also exported as ONNX, in float32 (onnx) and quantised to int8 (onnx_int8), and both are
measured on the test images. Their input is normalised; the metadata say how.

Not every processor multiplies signed bytes correctly: x86 without VNNI cuts sums off. So
by default onnx_int8 keeps its weights as unsigned bytes, which give the accuracy that is
stated in onnxruntime on any processor. For the compiler of an NPU write encoding = "int8":
the same integers, and so the same accuracy, as the signed bytes that it expects.

To measure how long a network takes on your device, no training is needed: with
weights = "random" any network is exported as ONNX, in float32 and int8, as those that
calibrate's next names are:

    network  = stage.npu.next[0].network
    weights  = "random"
    encoding = "int8" # what compilers of NPUs expect

Such a model is for measuring time only: what it computes means nothing, and no accuracy is
stated. It takes one image. Convolutions are followed by ReLU6, pools take the mean, and
elementwise work is a softmax.

The output estimate is a flat object, made to be a row of a table. With plausible
platforms, as calibrate yields them, it has intervals. The output
schedule is a JSON file with, for each layer in order, its MACs, NPU and SYS
cycles, latency, tile (rows, channels, inputs), loop order, number of tiles, bytes
moved (in, out, weights, partial; bound: the fewest possible) and occupied (memory,
held), what most cycles are for (dominant), and whether its operands and its result
stay in the local memory. The summary explains the three costliest layers.`,
	Config{Calibration: 2000, Ranges: 200, Encoding: deployed.Unsigned, Choice: backend.Choice{Arithmetic: nn.Auto}}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Network   arch.Spec         `json:"network" doc:"what to estimate"`
	Platform  raptor.Platform   `json:"platform" doc:"the NPU to run it on"`
	Plausible []raptor.Platform `json:"plausible,omitempty" doc:"platforms that a calibration cannot tell from platform: they make the intervals"`
	Error     float64           `json:"error,omitempty" min:"0" max:"3" doc:"by how much the platform's estimates are off for a network unlike those it was fitted to, as calibrate yields it: the standard deviation of their logarithm, which widens the intervals"`

	Supernet    *artifacts.File   `json:"supernet" is:"file" doc:"export: weights of the supernet that the subnet is of, or of the network as train-network trained it"`
	Dataset     *data.Set         `json:"dataset" doc:"export: the images that it was trained on"`
	Holdout     int               `json:"holdout,omitempty" min:"0" doc:"export: the holdout of train-supernet or train-network"`
	Calibration int               `json:"calibration" min:"1" doc:"export: training images from which batch normalisation is estimated"`
	Ranges      int               `json:"ranges" min:"1" doc:"export: training images from which int8 takes the ranges of activations"`
	Weights     Weights           `json:"weights,omitempty" doc:"export without a supernet: \"random\" weights, for measuring time only"`
	Seed        uint32            `json:"seed,omitempty" doc:"of random weights"`
	Encoding    deployed.Encoding `json:"encoding" doc:"export: the weights of onnx_int8: \"uint8\" is correct on any processor, \"int8\" is for NPUs, \"int7\" is correct and fast on any processor, with half the steps"`
	Images      int               `json:"images,omitempty" min:"0" doc:"export: test images to measure int8 on; 0 for all"`
	backend.Choice
}

// Output is what the block's references yield.
type Output struct {
	Estimate Row             `json:"estimate" provenance:"modelled" doc:"the network's figures, flat, as a row of a table"`
	Roofline Roofline        `json:"roofline" provenance:"modelled" doc:"what limits it, by the roofline model"`
	Summary  []string        `json:"summary" doc:"the figures in words, a sentence or two each"`
	Schedule artifacts.File  `json:"schedule" doc:"JSON: how each layer runs"`
	ONNX     *artifacts.File `json:"onnx" doc:"the subnet with its weights in float32, or the network with random ones, for measuring time only; null without weights"`
	ONNXInt8 *artifacts.File `json:"onnx_int8" doc:"the same quantised to int8, with QuantizeLinear and DequantizeLinear (QDQ); random weights are for measuring time only; null without weights"`
	Torch    *torch.Report   `json:"torch,omitempty" doc:"what has measured, with backend torch"`
}

// Row holds a network's figures.
type Row struct {
	Name        string   `json:"name" doc:"the network"`
	Platform    string   `json:"platform" doc:"the NPU"`
	Resolution  int      `json:"resolution" provenance:"given" doc:"input size in pixels"`
	Latency     float64  `json:"latency" unit:"s" doc:"time of one inference"`
	Energy      float64  `json:"energy" unit:"J" doc:"of one inference"`
	Mu          float64  `json:"mu" doc:"NPU cycles / SYS cycles; 0 where nothing is moved"`
	MACs        int64    `json:"macs" doc:"multiply-accumulate operations"`
	Params      int64    `json:"params" doc:"weights and the classifier's biases"`
	WeightBytes int64    `json:"weight_bytes" unit:"bytes" doc:"int8 weights and int32 biases: flash"`
	Memory      int      `json:"memory" unit:"bytes" doc:"most local memory occupied at once"`
	Traffic     int      `json:"traffic" unit:"bytes" doc:"bytes moved in and out of the local memory"`
	Utilisation float64  `json:"utilisation" doc:"share of the peak MAC rate reached over the whole inference"`
	Supported   bool     `json:"supported" doc:"no layer's weights are beyond the platform's limit"`
	Unsupported []string `json:"unsupported" doc:"the layers whose weights are"`

	LatencyInterval []float64 `json:"latency_interval" unit:"s" doc:"least and greatest latency on the plausible platforms, wider by error (95 %); empty without either"`
	EnergyInterval  []float64 `json:"energy_interval" unit:"J" doc:"least and greatest energy"`
	MuInterval      []float64 `json:"mu_interval" doc:"least and greatest μ"`

	Top1     *float64 `json:"top1" provenance:"measured" doc:"accuracy in float32; null where nothing is exported"`
	Top1Int8 *float64 `json:"top1_int8" provenance:"measured" doc:"accuracy in int8; null where nothing is exported"`
}

// Check reports the mistakes of the network and the platforms, and an export that lacks
// what it takes.
func (c Config) Check(r *mistake.Report) {
	c.Platform.Check(r.At("platform"))
	c.Network.Check(r.At("network"))
	for i, p := range c.Plausible {
		p.Check(r.At("plausible", i))
	}
	supernet := r.Written("supernet")
	switch {
	case r.Written("dataset") && r.Absent("supernet"):
		r.At("supernet").Badf("images alone export nothing: write the supernet's weights, or remove dataset")
	case supernet && r.Absent("dataset"):
		r.At("dataset").Badf("batch normalisation and int8 take images: write what the supernet was trained on, or remove supernet")
	case supernet && r.Knows("network") && c.Network.Subnet == nil:
		r.At("network").Badf("only a subnet of a supernet has weights to export: write space and subnet, or remove supernet")
	}
	switch {
	case supernet && r.Written("weights"):
		r.At("weights").Badf("the supernet has the subnet's weights: remove weights to export those, or supernet and dataset to measure time with random ones")
	case r.Written("seed") && r.Absent("weights"):
		r.At("seed").Badf("only random weights have a seed: write weights = \"random\", or remove seed")
	}
	if about, ok := nn.Foreseen(c.Supernet); ok && r.Knows("network") && r.Sound() {
		r.Add(c.isOf(about))
	}
	meter.CheckFit(r, c.Supernet, c.Dataset, c.Holdout)
	meter.CheckCalibration(r, c.Dataset, c.Holdout, c.Calibration)
	c.Choice.Check(r)
}

// Ready reports what this machine lacks to measure what is exported.
func (c Config) Ready(r *mistake.Report) {
	if c.Supernet != nil || !r.Knows("supernet") {
		c.Choice.Ready(r)
	}
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	net, err := c.Network.Network()
	if err != nil {
		return Output{}, mistake.Within("network", err)
	}
	e, err := c.Platform.Estimate(net)
	if infeasible := (*raptor.InfeasibleError)(nil); errors.As(err, &infeasible) {
		return Output{}, pipeline.Badf("network", "%s does not run on %s: %w", net.Name, c.Platform.Name, err)
	} else if err != nil {
		return Output{}, err
	}
	out := Output{Estimate: row(c.Platform, net, e), Roofline: roofline(c.Platform, e)}
	out.Summary = summary(c.Platform, net, e, out.Roofline)
	if out.Schedule, err = writeSchedule(task, e); err != nil {
		return out, err
	}
	if err := c.intervals(ctx, net, &out.Estimate); err != nil {
		return out, err
	}
	switch {
	case c.Supernet != nil:
		err = c.export(ctx, task, net, &out)
	case c.Weights == Random:
		err = c.exportRandom(task, net, &out)
	}
	return out, err
}

// intervals prices the network on the plausible platforms.
func (c Config) intervals(ctx context.Context, net arch.Network, r *Row) error {
	r.LatencyInterval, r.EnergyInterval, r.MuInterval = []float64{}, []float64{}, []float64{}
	if len(c.Plausible) == 0 && c.Error == 0 {
		return nil
	}
	latency, energy, mu := []float64{r.Latency}, []float64{r.Energy}, []float64{r.Mu}
	for i, p := range c.Plausible {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := p.Estimate(net)
		if err != nil {
			return pipeline.Badf(fmt.Sprintf("plausible[%d]", i), "%s does not run on it: %w", net.Name, err)
		}
		latency, energy, mu = append(latency, e.Latency), append(energy, e.Energy), append(mu, e.Mu)
	}
	r.LatencyInterval, r.EnergyInterval, r.MuInterval = c.extent(latency), c.extent(energy), c.extent(mu)
	return nil
}

// extent returns the interval of a figure of which the first value is the estimate, the
// others those of plausible platforms: from the least to the greatest, and farther by what
// the estimate may be off beside that, of which nothing says that both come together.
func (c Config) extent(v []float64) []float64 {
	low, high := slices.Min(v), slices.Max(v)
	if c.Error == 0 || v[0] == 0 {
		return []float64{low, high}
	}
	wider := func(end float64) float64 {
		off, more := float.Log(end/v[0]), 1.96*c.Error
		return float.Exp(math.Sqrt(float64(off*off) + float64(more*more)))
	}
	return []float64{v[0] / wider(low), v[0] * wider(high)}
}

// ratio is a/b, and 0 where b is 0, as for a pool, which takes no time where only MACs
// and transfers cost.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func row(p raptor.Platform, net arch.Network, e raptor.Estimate) Row {
	return Row{
		Name: e.Network, Platform: e.Platform, Resolution: e.Resolution,
		Latency: e.Latency, Energy: e.Energy, Mu: e.Mu,
		MACs: e.MACs, Params: e.Params, WeightBytes: net.WeightBytes(),
		Memory: e.PeakMemory, Traffic: e.Traffic,
		Utilisation: ratio(float64(e.MACs), float64(p.PEs)*p.Clock*e.Latency),
		Supported:   len(e.Unsupported) == 0, Unsupported: e.Unsupported,
	}
}

// writeSchedule writes the estimate with all its layers.
func writeSchedule(task *pipeline.Task, e raptor.Estimate) (artifacts.File, error) {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return artifacts.File{}, err
	}
	return writeFile(task, e.Network, ".json", append(b, '\n'))
}

// longestName is how many bytes of a network's name are in a file's, which systems
// limit to some 255.
const longestName = 100

// writeFile writes a file named after the network.
func writeFile(task *pipeline.Task, network, suffix string, b []byte) (artifacts.File, error) {
	name := strings.Map(plain, network)
	path := task.Path(name[:min(longestName, len(name))] + suffix)
	return artifacts.Local(path), os.WriteFile(path, b, 0o644)
}

// plain keeps what is safe in a file's name.
func plain(r rune) rune {
	switch {
	case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '.', r == '-', r == '@':
		return r
	}
	return '-'
}
