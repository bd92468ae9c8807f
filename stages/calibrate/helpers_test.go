package calibrate

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
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

// small is a config in which runs are quick: one form, and the memory given.
func small(t testing.TB, file, form string) Config {
	t.Helper()
	c := config(t, file)
	c.Form, c.Forms, c.Platform.Memory, c.Starts = form, []string{form}, 200<<10, 1
	return c
}

// text writes a file of measurements.
func text(t testing.TB, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "board.csv")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// mustRun runs the stage.
func mustRun(t testing.TB, c Config) Output {
	t.Helper()
	out, err := run(t.Context(), new(pipeline.Task), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mobilenet(width float64, resolution int) arch.Network {
	b := arch.MobileNetV2()
	return b.Scale(b.Uniform(width), resolution, arch.Rounding{})
}

// probe builds one of the built-in probes.
func probe(t testing.TB, name string) arch.Network {
	t.Helper()
	net, err := probes[name].Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// formOf returns a form by its name.
func formOf(t testing.TB, name string) *form {
	t.Helper()
	i := slices.Index(formNames(), name)
	if i < 0 {
		t.Fatalf("no form %s", name)
	}
	return &forms[i]
}

// indices returns those of parameters.
func indices(names []string) (of []int) {
	for j := range parameters {
		if slices.Contains(names, parameters[j].name) {
			of = append(of, j)
		}
	}
	return of
}

// made writes measurements that a platform makes: of MobileNetV2 of several sizes, and of the
// probes, which are named in the networks of the config.
func made(t testing.TB, p raptor.Platform, mu bool) (file string, networks map[string]arch.Spec) {
	t.Helper()
	var b strings.Builder
	b.WriteString("network,width,resolution,mu,latency\n")
	row := func(name, size string, net arch.Network) {
		e, err := p.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		measured := ""
		if mu {
			measured = fmt.Sprint(e.Mu)
		}
		fmt.Fprintf(&b, "%q,%s,%s,%v\n", name, size, measured, e.Latency)
	}
	for _, width := range []float64{0.35, 0.5, 1} {
		for _, resolution := range []int{64, 128, 224} {
			row("MobileNetV2", fmt.Sprintf("%v,%d", width, resolution), mobilenet(width, resolution))
		}
	}
	for name := range probes {
		row(name, ",", probe(t, name))
	}
	return text(t, b.String()), probes
}

// drawn returns a datasheet's platform in a form, with parameters at random, near the centres
// of the priors.
func drawn(t testing.TB, rng *rand.Rand, f *form, widths float64) raptor.Platform {
	t.Helper()
	p := f.on(raptor.Platform{Name: "drawn", Clock: 1e8, PEs: 64, Memory: int64(64+rng.IntN(128)) << 10, Power: 1}, f.fit)
	q := newProblem(nil, nil, &p, &p, f, indices(f.fit))
	x := q.centre
	for k := range q.n {
		x[k] += widths * q.width[k] * (2*rng.Float64() - 1)
	}
	x = q.clamp(x)
	p = q.apply(&x, p)
	if err := p.Validate(); err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	return p
}
