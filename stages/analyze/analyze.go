// Package analyze is the stage "analyze-memory": what each layer and each block
// of a network needs of the local memory, and what that costs (figure 1 of the
// paper and §2.2).
package analyze

import (
	"context"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is "analyze-memory".
var Stage = pipeline.Define("analyze-memory", 7,
	"Show what a network needs of a platform's local memory, per block and per layer.\n\n"+
		"This is figure 1 of the paper: weights and activations per block beside the memory of the NPU, the two bottlenecks in words, "+
		"and each layer's share of the cycles that move data.",
	Config{}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Network  arch.Spec       `json:"network" doc:"what is analysed"`
	Platform raptor.Platform `json:"platform" doc:"on which NPU"`
}

// Check reports the mistakes of the network and the platform.
func (c *Config) Check(r *mistake.Report) {
	c.Network.Check(r.At("network"))
	c.Platform.Check(r.At("platform"))
}

// Output is what the block's references yield.
type Output struct {
	Network     string   `json:"network" doc:"name"`
	Platform    string   `json:"platform" doc:"name"`
	Memory      int64    `json:"memory" unit:"bytes" provenance:"modelled" doc:"local memory of the platform: the line in figure 1"`
	WeightLimit int64    `json:"weight_limit" unit:"bytes" provenance:"modelled" doc:"most weights of a layer that the platform supports; 0 for no limit"`
	Weights     int64    `json:"weights" unit:"bytes" provenance:"modelled" doc:"of the whole network, int8 with int32 biases"`
	Activations int64    `json:"activations" unit:"bytes" provenance:"modelled" doc:"input and output of the layer with the largest"`
	MACs        int64    `json:"macs" provenance:"modelled" doc:"multiply-accumulate operations, counted"`
	Params      int64    `json:"params" provenance:"modelled" doc:"parameters, counted"`
	Latency     float64  `json:"latency" unit:"s" provenance:"modelled" doc:"time of one inference"`
	Energy      float64  `json:"energy" unit:"J" provenance:"modelled" doc:"energy of one inference"`
	Mu          float64  `json:"mu" provenance:"modelled" doc:"NPU cycles / SYS cycles"`
	Blocks      []Need   `json:"blocks" doc:"one per block, in order"`
	Layers      []Need   `json:"layers" doc:"one per layer, in order"`
	Summary     []string `json:"summary" doc:"both bottlenecks, and where the cycles go, in words"`
	Explained   []string `json:"explained" doc:"the three layers that take longest: why, and what would make them cheaper"`
}

// Need is what a layer needs of the local memory, or a block: then Weights and
// the shares are sums, and the rest belongs to the layer that needs most.
type Need struct {
	Name        string  `json:"name"`
	Weights     int64   `json:"weights" unit:"bytes" provenance:"modelled" doc:"weights and biases"`
	In          int64   `json:"in" unit:"bytes" provenance:"modelled" doc:"operands read"`
	Out         int64   `json:"out" unit:"bytes" provenance:"modelled" doc:"result"`
	Activations int64   `json:"activations" unit:"bytes" provenance:"modelled" doc:"in + out"`
	Peak        int64   `json:"peak" unit:"bytes" provenance:"modelled" doc:"in + out + the layer's weights: what it takes to run untiled"`
	Fits        bool    `json:"fits" doc:"runs untiled: peak is within the local memory"`
	Supported   bool    `json:"supported" doc:"weights of each layer are within the platform's limit"`
	Tiles       int     `json:"tiles" provenance:"modelled" doc:"parts that it is cut into"`
	Traffic     int     `json:"traffic" unit:"bytes" provenance:"modelled" doc:"bytes moved"`
	NPUCycles   float64 `json:"npu_cycles" unit:"cycles" provenance:"modelled" doc:"cycles that compute"`
	SYSCycles   float64 `json:"sys_cycles" unit:"cycles" provenance:"modelled" doc:"cycles that move data"`
	SYSShare    float64 `json:"sys_share" provenance:"modelled" doc:"share of the network's SYS cycles"`
}

func run(_ context.Context, _ *pipeline.Task, c Config) (Output, error) {
	net, err := c.Network.Network()
	if err != nil {
		return Output{}, err
	}
	e, err := c.Platform.Estimate(net)
	if err != nil {
		return Output{}, err
	}
	out := Output{
		Network: net.Name, Platform: c.Platform.Name, Memory: c.Platform.Memory, WeightLimit: c.Platform.WeightLimit,
		Weights: net.WeightBytes(), MACs: e.MACs, Params: e.Params, Latency: e.Latency, Energy: e.Energy, Mu: e.Mu,
	}
	for i := range net.Layers {
		need := layerNeed(&c.Platform, &net.Layers[i], &e.Layers[i])
		if e.SYSCycles > 0 {
			need.SYSShare = need.SYSCycles / e.SYSCycles
		}
		out.Layers = append(out.Layers, need)
		out.Activations = max(out.Activations, need.Activations)
		if n := len(out.Blocks); n > 0 && out.Blocks[n-1].Name == net.Layers[i].Block {
			out.Blocks[n-1].add(need)
		} else {
			need.Name = net.Layers[i].Block
			out.Blocks = append(out.Blocks, need)
		}
	}
	for _, i := range e.Costliest(3) {
		out.Explained = append(out.Explained, c.Platform.Explain(&net, &e, i))
	}
	out.Summary = summary(&out, &c.Platform)
	return out, nil
}

func layerNeed(p *raptor.Platform, l *arch.Layer, c *raptor.LayerCost) Need {
	n := Need{
		Name: l.Name, Weights: l.WeightBytes(), In: l.InputBytes(), Out: l.OutputBytes(),
		Supported: c.Supported, Tiles: c.Tiles, Traffic: c.Activations() + c.Weights,
		NPUCycles: c.NPUCycles, SYSCycles: c.SYSCycles,
	}
	n.Activations = n.In + n.Out
	n.Peak = n.Activations + n.Weights
	n.Fits = n.Peak <= p.Memory
	if p.WeightMemory > 0 {
		n.Fits = n.Activations <= p.Memory && n.Weights <= p.WeightMemory
	}
	return n
}

// add makes of a block's need that of the block with one more layer.
func (n *Need) add(l Need) {
	n.Weights += l.Weights
	if l.Activations > n.Activations {
		n.In, n.Out, n.Activations = l.In, l.Out, l.Activations
	}
	n.Peak = max(n.Peak, l.Peak)
	n.Fits = n.Fits && l.Fits
	n.Supported = n.Supported && l.Supported
	n.Tiles += l.Tiles
	n.Traffic += l.Traffic
	n.NPUCycles += l.NPUCycles
	n.SYSCycles += l.SYSCycles
	n.SYSShare += l.SYSShare
}
