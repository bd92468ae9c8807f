// Package stages lists the stages that a recipe can use. Every package directly below it
// is one; what they share is in nas.
package stages

import (
	"eyrie/pipeline"
	"eyrie/stages/analyze"
	"eyrie/stages/calibrate"
	"eyrie/stages/dataset"
	"eyrie/stages/deploy"
	"eyrie/stages/evolve"
	"eyrie/stages/exec"
	"eyrie/stages/grid"
	"eyrie/stages/network"
	"eyrie/stages/plot"
	"eyrie/stages/predictor"
	"eyrie/stages/report"
	"eyrie/stages/supernet"
	"eyrie/stages/table"
)

// All is every stage, in the order in which a pipeline uses them.
var All = []*pipeline.Stage{
	dataset.Stage,
	calibrate.Stage,
	analyze.Stage,
	grid.Stage,
	supernet.Stage,
	predictor.Stage,
	evolve.Stage,
	network.Stage,
	deploy.Stage,
	exec.Stage,
	table.Stage,
	plot.Stage,
	report.Stage,
}
