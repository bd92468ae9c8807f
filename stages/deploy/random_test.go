package deploy

import (
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/nn/deployed"
	"eyrie/nas/onnx/onnxtest"
)

// anyNetwork is one that no space holds.
func anyNetwork() arch.Spec {
	return arch.Spec{Name: "any", Input: arch.Shape{C: 3, H: 20, W: 12}, Layers: []arch.LayerSpec{
		{Op: arch.Conv, Channels: 8, Kernel: arch.Extent{H: 5, W: 3}, Stride: arch.Square(2), Name: "stem"},
		{Op: arch.Depthwise, Kernel: arch.Square(3)},
		{Op: arch.Pointwise, Channels: 8, Name: "project"},
		{Op: arch.Add, Inputs: []string{"stem", "project"}},
		{Op: arch.Pool},
		{Op: arch.Linear, Channels: 5},
		{Op: arch.Elementwise},
	}}
}

// Any network is exported with random weights: onnxruntime runs both files, and read again
// they are estimated as the network is. Nothing states an accuracy, and all say what the
// files are for.
func TestRandomWeights(t *testing.T) {
	here := onnxtest.Here(t)
	space := smallSpace()
	subnet := space.Largest()
	for _, spec := range []arch.Spec{anyNetwork(), {Width: 0.35, Resolution: 32}, {Name: "subnet", Space: &space, Subnet: &subnet}} {
		c := Config{Network: spec, Platform: platform(t, "tinyraptor"), Weights: Random, Encoding: deployed.Signed}
		out := estimate(t, c)
		e := out.Estimate
		if e.Top1 != nil || e.Top1Int8 != nil || !strings.Contains(strings.Join(out.Summary, "\n"), "random weights (seed 0), in int8 encoded as int8: for measuring time only") {
			t.Errorf("%s: top-1 %v, summary %q", e.Name, e.Top1, out.Summary)
		}
		net, err := spec.Network()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*artifacts.File{out.ONNX, out.ONNXInt8} {
			m := model(t, f)
			if m.Metadata["weights"] != "weights are random: for measuring time only" || m.Metadata["top1"] != "" {
				t.Errorf("%s: metadata %v", e.Name, m.Metadata)
			}
			y := here.Run(t, m, make([]float32, net.Input.Size()), 1, net.Input.C, net.Input.H, net.Input.W)
			if want := net.Layers[len(net.Layers)-1].Out.Size(); len(y) != want {
				t.Errorf("%s writes %d elements, want %d", e.Name, len(y), want)
			}
			again := estimate(t, Config{Network: arch.Spec{ONNX: f}, Platform: c.Platform}).Estimate
			if again.Latency != e.Latency || again.MACs != e.MACs || again.Params != e.Params || again.Memory != e.Memory {
				t.Errorf("%s: the exported model is estimated at %+v, the network at %+v", e.Name, again, e)
			}
		}
	}
}
