package deploy

import (
	"fmt"

	"eyrie/nas/arch"
	"eyrie/nas/nn/deployed"
	"eyrie/pipeline"
)

// Weights is where the weights of an export are from that no supernet has.
type Weights string

// Random weights are for measuring time, never accuracy.
const Random Weights = "random"

// Choices returns where weights may be from.
func (Weights) Choices() []string { return []string{string(Random)} }

// timeOnly is said wherever random weights are.
const timeOnly = "weights are random: for measuring time only"

// exportRandom writes the network with random weights, in float32 and in int8.
func (c Config) exportRandom(task *pipeline.Task, net arch.Network, out *Output) error {
	probe, err := deployed.NewProbe(net, uint64(c.Seed))
	if err != nil {
		return pipeline.Badf("network", "%s: %w", net.Name, err)
	}
	metadata := map[string]string{"network": net.Name, "weights": timeOnly, "seed": fmt.Sprint(c.Seed)}
	onnx, err := writeFile(task, net.Name, ".onnx", probe.ONNX(metadata).Marshal())
	if err != nil {
		return err
	}
	metadata["encoding"] = string(c.Encoding)
	onnxInt8, err := writeFile(task, net.Name, "-int8.onnx", probe.Int8ONNX(c.Encoding, metadata).Marshal())
	out.ONNX, out.ONNXInt8 = &onnx, &onnxInt8
	out.Summary = append(out.Summary, fmt.Sprintf("The ONNX files hold random weights (seed %d), in int8 encoded as %s: for measuring time only.", c.Seed, c.Encoding))
	return err
}
