// Runner runs recipes; see runner --help.
package main

import (
	"os"

	"eyrie/cmd/runner/internal/cli"
	"eyrie/stages"
)

func main() { os.Exit(cli.Main(stages.All)) }
