// Package deploy is the stage that says what a network costs on a platform, and
// why: the last step before somebody builds it.
package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/stages/arch"
	"eyrie/stages/raptor"
)

// Stage is the deploy-estimate stage.
var Stage = pipeline.Define("deploy-estimate", 1,
	`Estimates a network on a platform: latency, energy, μ, memory, and how each layer runs.

The network is a scaled MobileNetV2, a subnet of a space, or a list of layers:

    network = { width = 0.5, resolution = 160 }
    network = stage.raptornet["70ms"].network

The output estimate is a flat object, made to be a row of a table. The output
schedule is a JSON file with, for each layer in order, its MACs, NPU and SYS
cycles, latency, tile (rows, channels, inputs), loop order, number of tiles, bytes
moved (in, out, weights, partial) and occupied (memory, held), and whether its
operands and its result stay in the local memory.`,
	Config{}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Network  arch.Spec       `json:"network" doc:"what to estimate"`
	Platform raptor.Platform `json:"platform" doc:"the NPU to run it on"`
}

// Output is what the block's references yield.
type Output struct {
	Estimate Row            `json:"estimate" provenance:"modelled" doc:"the network's figures, flat, as a row of a table"`
	Roofline Roofline       `json:"roofline" provenance:"modelled" doc:"what limits it, by the roofline model"`
	Summary  []string       `json:"summary" doc:"the figures in words, a sentence or two each"`
	Schedule artifacts.File `json:"schedule" doc:"JSON: how each layer runs"`
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
}

// Validate checks the attributes; it runs at plan time.
func (c Config) Validate() error {
	if err := c.Platform.Validate(); err != nil {
		return pipeline.Badf("platform", "%w", err)
	}
	if err := c.Network.Validate(); err != nil {
		return pipeline.Badf("network", "%w", err)
	}
	return nil
}

func run(ctx context.Context, c Config) (Output, error) {
	net, err := c.Network.Network()
	if err != nil {
		return Output{}, pipeline.Badf("network", "%w", err)
	}
	e, err := c.Platform.Estimate(net)
	if infeasible := (*raptor.InfeasibleError)(nil); errors.As(err, &infeasible) {
		return Output{}, pipeline.Badf("network", "%s does not run on %s: %w", net.Name, c.Platform.Name, err)
	} else if err != nil {
		return Output{}, err
	}
	file, err := writeSchedule(ctx, e)
	roof := roofline(c.Platform, e)
	return Output{Estimate: row(c.Platform, net, e), Roofline: roof, Summary: summary(c.Platform, e, roof), Schedule: file}, err
}

func row(p raptor.Platform, net arch.Network, e raptor.Estimate) Row {
	return Row{
		Name: e.Network, Platform: e.Platform, Resolution: e.Resolution,
		Latency: e.Latency, Energy: e.Energy, Mu: e.Mu,
		MACs: e.MACs, Params: e.Params, WeightBytes: net.WeightBytes(),
		Memory: e.PeakMemory, Traffic: e.Traffic,
		Utilisation: float64(e.MACs) / (float64(p.PEs) * p.Clock * e.Latency),
		Supported:   len(e.Unsupported) == 0, Unsupported: e.Unsupported,
	}
}

// writeSchedule writes the estimate with all its layers.
func writeSchedule(ctx context.Context, e raptor.Estimate) (artifacts.File, error) {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return artifacts.File{}, err
	}
	path := pipeline.Path(ctx, strings.Map(plain, e.Network)+".json")
	return artifacts.Local(path), os.WriteFile(path, append(b, '\n'), 0o644)
}

// plain keeps what is safe in a file's name.
func plain(r rune) rune {
	switch {
	case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '.', r == '-', r == '@':
		return r
	}
	return '-'
}
