package torch

import _ "embed"

//go:embed worker.py
var worker string
