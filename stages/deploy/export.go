package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/nn/deployed"
	"eyrie/pipeline"
)

// export writes the subnet with its weights, in float32 and in int8, and
// measures both.
func (c Config) export(ctx context.Context, task *pipeline.Task, net arch.Network, out *Output) error {
	supernet, err := nn.Load(c.Supernet.Path)
	if err != nil {
		return pipeline.Badf("supernet", "%w (write the weights of a train-supernet or train-network step)", err)
	}
	subnet := *c.Network.Subnet
	if err := c.isOf(supernet.About()); err != nil {
		return err
	}
	m, err := c.Meter(ctx, task, meter.Options{
		Supernet: supernet, Set: *c.Dataset, Holdout: c.Holdout, Calibration: c.Calibration,
		Dir: task.Checkpoint(),
	})
	if err != nil {
		return err
	}
	defer m.Close()

	task.Report(pipeline.Progress{Note: "measuring in float32"})
	top1, err := m.Test(ctx, subnet)
	if err != nil {
		return err
	}
	layers, err := m.Folded(ctx, subnet)
	if err != nil {
		return err
	}
	float := deployed.New(net, layers)
	task.Report(pipeline.Progress{Note: "quantising to int8"})
	int8, top1Int8, err := c.quantise(ctx, task, float, m)
	if err != nil {
		return err
	}
	metadata, err := c.metadata(subnet)
	if err != nil {
		return err
	}
	test, _ := m.Images()
	metadata["top1"], metadata["top1_images"] = fmt.Sprint(top1), fmt.Sprint(test.Len())
	onnx, err := writeFile(task, net.Name, ".onnx", float.ONNX(metadata).Marshal())
	if err != nil {
		return err
	}
	metadata["top1"], metadata["top1_images"] = fmt.Sprint(top1Int8), fmt.Sprint(c.tested(m))
	metadata["encoding"], metadata["top1_holds_on"] = string(c.Encoding), "onnxruntime on "+c.Encoding.HoldsOn()
	onnxInt8, err := writeFile(task, net.Name, "-int8.onnx", int8.ONNX(metadata).Marshal())
	out.ONNX, out.ONNXInt8, out.Torch = &onnx, &onnxInt8, backend.Report(m.Evaluator())
	out.Estimate.Top1, out.Estimate.Top1Int8 = &top1, &top1Int8
	out.Summary = append(out.Summary, fmt.Sprintf("Top-1 is %.2f %% in float32 and %.2f %% in int8. In onnxruntime the int8 file gives this on %s.", 100*top1, 100*top1Int8, c.Encoding.HoldsOn()))
	return err
}

// isOf checks that the subnet is one of those whose weights there are: the same network.
func (c Config) isOf(weights nn.About) error {
	space, n := weights.Space, *c.Network.Subnet
	if err := space.Contains(n); err != nil {
		return pipeline.Badf("network", "the supernet does not hold this subnet: %w", err)
	}
	if weights.Network != nil && !weights.Network.Equal(n) {
		return pipeline.Badf("network", "the weights are those of another one, %v: write the network of that train-network step", *weights.Network)
	}
	if !reflect.DeepEqual(space.Network(n).Layers, c.Network.Space.Network(n).Layers) {
		return pipeline.Badf("network", "its space is another one than the supernet's: the channels differ")
	}
	return nil
}

// quantise takes the ranges of activations from training images, and measures
// the result on test images.
func (c Config) quantise(ctx context.Context, task *pipeline.Task, float *deployed.Net, m *meter.Meter) (*deployed.Int8, float64, error) {
	test, statistics := m.Images()
	resolution := float.Input.H
	var b data.Batch
	if err := statistics.Batch(ctx, first(min(c.Ranges, statistics.Len())), data.View{Resolution: resolution}, &b); err != nil {
		return nil, 0, err
	}
	images := make([][]float32, b.N)
	for i := range images {
		size := len(b.X) / b.N
		images[i] = b.X[i*size : (i+1)*size]
	}
	q := float.Quantise(images, c.Encoding)
	if n := c.tested(m); n < test.Len() {
		test = test.Subset(data.Order(test.Len(), 1, 0)[:n])
	}
	done, right := 0, 0
	err := deployed.Each(ctx, q, test, resolution, task.CPUs(), func(logits []float32, label int) {
		if nn.Class(logits) == label {
			right++
		}
		done++
		task.Report(pipeline.Progress{Done: float64(done), Total: float64(test.Len()), Unit: "images", Note: "measuring in int8"})
	})
	return q, float64(right) / float64(test.Len()), err
}

// tested returns on how many test images int8 is measured.
func (c Config) tested(m *meter.Meter) int {
	test, _ := m.Images()
	if c.Images > 0 {
		return min(c.Images, test.Len())
	}
	return test.Len()
}

func first(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}

// metadata say what the model is, and how its input is normalised: each channel
// of pixels in 0 … 1, less mean, by std.
func (c Config) metadata(n arch.Subnet) (map[string]string, error) {
	meta := map[string]string{"subnet": n.String(), "dataset": c.Dataset.Name}
	for key, v := range map[string]any{"mean": c.Dataset.Mean, "std": c.Dataset.Std, "classes": c.Dataset.ClassNames} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		meta[key] = string(b)
	}
	return meta, nil
}
