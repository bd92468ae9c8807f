package torch

import _ "embed"

// worker is the program that each rank runs, given a job file.
//
//go:embed worker.py
var worker string
