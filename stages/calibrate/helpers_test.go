package calibrate

import (
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/raptor"
)

const paperCSV = "../../examples/raptor.csv"

func preset(t testing.TB, name string) raptor.Platform {
	t.Helper()
	p, err := raptor.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// config returns the stage's defaults, a datasheet of TinyRAPTOR and the file.
func config(t testing.TB, file string) Config {
	t.Helper()
	c := Config{Platform: raptor.Platform{Name: "tinyraptor", Clock: 200e6, PEs: 128, Power: 10.22e-3}, Measurements: artifacts.Local(file),
		Fit: []string{auto}, MemoryMin: 32 << 10, MemoryMax: 1 << 20, MemoryStep: 4 << 10, Starts: 4, Seed: 1, Next: Next{Count: 4}}
	if err := Stage.CheckConfig(c); err != nil {
		t.Fatal(err)
	}
	return c
}
