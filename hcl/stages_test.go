package hcl_test

import (
	"context"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// The stages of the tests: nothing ever runs them.

type platform struct {
	Name   string  `json:"name"`
	Memory int     `json:"memory" unit:"bytes" min:"1"`
	Clock  float64 `json:"clock,omitempty" unit:"Hz"`
}

type calibrateConfig struct {
	Policy       string         `json:"policy" oneof:"resident,tiled" doc:"what stays in memory"`
	Measurements artifacts.File `json:"measurements,omitzero"`
	Memory       int            `json:"memory,omitempty" unit:"bytes"`
	Seed         int            `json:"seed,omitempty" min:"0"`
}

type calibrateOutput struct {
	Platform platform       `json:"platform"`
	Residual float64        `json:"residual" provenance:"measured"`
	Table    artifacts.File `json:"table"`
}

type limits struct {
	Latency float64 `json:"latency" unit:"s" min:"0" max:"1"`
	Energy  float64 `json:"energy,omitempty" unit:"J"`
}

type searchConfig struct {
	Platform platform       `json:"platform" doc:"the hardware"`
	Limit    limits         `json:"limit"`
	Weights  artifacts.File `json:"weights,omitzero"`
	Widths   []float64      `json:"widths" min:"0.3" max:"1.5"`
	Name     string         `json:"name,omitempty"`
	Rounds   int            `json:"rounds" min:"1"`
	Greedy   bool           `json:"greedy,omitempty"`
	Stops    []limits       `json:"stops,omitempty"`
	Scale    *float64       `json:"scale"`
}

// Check implements the checks across fields.
func (c searchConfig) Check(r *mistake.Report) {
	if r.Knows("greedy", "rounds") && c.Greedy && c.Rounds > 100 {
		r.At("rounds").Badf("a greedy search takes at most 100 rounds, not %d", c.Rounds)
	}
	if r.Knows("limit") && c.Limit.Energy > c.Limit.Latency {
		r.At("limit", "energy").Badf("must not exceed the latency")
	}
	if r.Written("weights") && r.Written("scale") {
		r.At("weights").Badf("have a scale of their own")
	}
}

type found struct {
	Latency  float64   `json:"latency" unit:"s" provenance:"modelled"`
	Accuracy float64   `json:"accuracy" provenance:"predicted"`
	Widths   []float64 `json:"widths"`
	Label    string    `json:"label"`
}

type searchOutput struct {
	Best    found          `json:"best" provenance:"modelled"`
	Front   []found        `json:"front"`
	Extra   map[string]any `json:"extra,omitempty"`
	Weights artifacts.File `json:"weights"`
	Note    *string        `json:"note"`
}

type tableConfig struct {
	Title string                       `json:"title,omitempty"`
	Rows  []map[string]pipeline.Traced `json:"rows,omitempty"`
	One   pipeline.Traced              `json:"one,omitzero"`
	Any   any                          `json:"any,omitempty"`
}

type tableOutput struct {
	Rows []map[string]pipeline.Traced `json:"rows"`
	Text string                       `json:"text"`
}

func notRun[C, O any](context.Context, *pipeline.Task, C) (o O, err error) {
	panic("a test of recipes runs no stage")
}

var testStages = []*pipeline.Stage{
	pipeline.Define("calibrate", 1, "Fits a platform.", calibrateConfig{}, notRun[calibrateConfig, calibrateOutput]),
	pipeline.Define("search", 1, "Searches.", searchConfig{Rounds: 10}, notRun[searchConfig, searchOutput]),
	pipeline.Define("table", 1, "Makes a table.", tableConfig{}, notRun[tableConfig, tableOutput]),
}
