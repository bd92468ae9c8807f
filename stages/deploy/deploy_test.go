package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/nn/deployed"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
)

func platform(t testing.TB, name string) raptor.Platform {
	t.Helper()
	p, err := raptor.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// validate checks a configuration as a plan does.
func validate(c Config) error {
	return Stage.CheckConfig(c)
}

func estimate(t testing.TB, c Config) Output {
	t.Helper()
	if err := validate(c); err != nil {
		t.Fatal(err)
	}
	out, err := run(context.Background(), pipeline.NewTask(pipeline.Env{Work: t.TempDir(), Checkpoint: t.TempDir()}), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// However long a network's name is, its files can be written.
func TestLongName(t *testing.T) {
	c := Config{Network: arch.Spec{Name: strings.Repeat("ü/", 200), Width: 0.5, Resolution: 160}, Platform: platform(t, "tinyraptor")}
	if out := estimate(t, c); out.Estimate.Name != c.Network.Name {
		t.Errorf("the name is %q", out.Estimate.Name)
	}
}

// The figures of table 3's baseline agree with one another and with its
// measured latency.
func TestBaseline(t *testing.T) {
	p := platform(t, "tinyraptor")
	out := estimate(t, Config{Network: arch.Spec{Width: 0.5, Resolution: 160}, Platform: p})
	e := out.Estimate
	if e.Name != "MobileNetV2 0.5@160" || e.Platform != "tinyraptor" || e.Resolution != 160 || !e.Supported {
		t.Errorf("estimate is %+v", e)
	}
	if math.Abs(e.Latency/0.0871-1) > 0.06 {
		t.Errorf("latency %v s, published 0.0871", e.Latency)
	}
	if math.Abs(e.Energy-p.Power*e.Latency) > 1e-12 {
		t.Errorf("energy %v J is not power × latency", e.Energy)
	}
	r := out.Roofline
	if r.Bound != "transfers" || r.Attained > r.Roof || r.Roof > r.Peak || r.Intensity > *r.Ridge {
		t.Errorf("roofline %+v", r)
	}
	if want := e.Utilisation * r.Peak; math.Abs(r.Attained/want-1) > 1e-9 {
		t.Errorf("attained %v, utilisation × peak is %v", r.Attained, want)
	}
}

// The schedule file holds every layer, and its shares add up to the estimate.
func TestScheduleAddsUp(t *testing.T) {
	c := Config{Network: arch.Spec{Width: 0.35, Resolution: 192}, Platform: platform(t, "tinyraptor")}
	out := estimate(t, c)
	b, err := out.Schedule.ReadFile()
	if err != nil {
		t.Fatal(err)
	}
	var e raptor.Estimate
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	net, _ := c.Network.Network()
	latency, traffic := 0.0, 0
	for i, l := range e.Layers {
		if l.Name != net.Layers[i].Name {
			t.Errorf("layer %d is %q, want %q", i, l.Name, net.Layers[i].Name)
		}
		latency += l.Latency
		traffic += l.In + l.Out + l.Weights + l.Partial
	}
	if len(e.Layers) != len(net.Layers) || math.Abs(latency/out.Estimate.Latency-1) > 1e-9 || traffic != out.Estimate.Traffic {
		t.Errorf("%d of %d layers, %v of %v s, %d of %d bytes", len(e.Layers), len(net.Layers), latency, out.Estimate.Latency, traffic, out.Estimate.Traffic)
	}
}

// docs/search.md explains each key of a layer in the schedule.
func TestScheduleIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/search.md")
	if err != nil {
		t.Fatal(err)
	}
	b, err := estimate(t, Config{Network: arch.Spec{Width: 0.35, Resolution: 96}, Platform: platform(t, "tinyraptor")}).Schedule.ReadFile()
	if err != nil {
		t.Fatal(err)
	}
	var schedule struct{ Layers []map[string]any }
	if err := json.Unmarshal(b, &schedule); err != nil {
		t.Fatal(err)
	}
	for key := range schedule.Layers[0] {
		if !strings.Contains(string(doc), "`"+key+"`") {
			t.Errorf("%s is not explained", key)
		}
	}
}

// Where moving data costs nothing, nothing divides by it.
func TestFreeTransfers(t *testing.T) {
	out := estimate(t, Config{Network: arch.Spec{Width: 0.35, Resolution: 48}, Platform: platform(t, "mcu")})
	if out.Roofline.Bound != "computing" || out.Roofline.Bandwidth != nil || out.Estimate.Mu != 0 {
		t.Errorf("roofline %+v, μ %v", out.Roofline, out.Estimate.Mu)
	}
	if _, err := json.Marshal(out); err != nil {
		t.Error(err)
	}
	nothing := Config{Network: arch.Spec{Input: arch.Shape{C: 3, H: 8, W: 8}, Layers: []arch.LayerSpec{{Op: "pool"}}}, Platform: platform(t, "mcu")}
	out = estimate(t, nothing)
	if _, err := json.Marshal(out); err != nil || out.Estimate.Latency != 0 || strings.Contains(fmt.Sprint(out.Summary), "NaN") {
		t.Errorf("a pool: %+v, %v", out, err)
	}
}

// The intervals are the extent over all platforms.
func TestIntervals(t *testing.T) {
	c := Config{Network: arch.Spec{Width: 0.5, Resolution: 96}, Platform: platform(t, "tinyraptor")}
	slow, fast := c.Platform, c.Platform
	slow.ActivationCost *= 1.5
	fast.Clock *= 2
	c.Plausible = []raptor.Platform{slow, fast}
	e := estimate(t, c).Estimate
	if l := e.LatencyInterval; len(l) != 2 || l[0] != e.Latency/2 || l[1] <= e.Latency {
		t.Errorf("latency %v in %v", e.Latency, l)
	}
	if m := e.MuInterval; len(m) != 2 || m[1] != e.Mu || m[0] >= e.Mu {
		t.Errorf("μ %v in %v", e.Mu, m)
	}
	c.Plausible = nil
	if e := estimate(t, c).Estimate; e.LatencyInterval == nil || len(e.LatencyInterval) != 0 {
		t.Errorf("without plausible platforms the interval is %v", e.LatencyInterval)
	}
}

// The summary says in words what the figures say.
func TestSummary(t *testing.T) {
	out := estimate(t, Config{Network: arch.Spec{Width: 0.6, Resolution: 96}, Platform: platform(t, "tinyraptor")})
	text := strings.Join(out.Summary, "\n")
	t.Log("\n" + text)
	for _, want := range []string{
		"MobileNetV2 0.6@96 takes ", " on tinyraptor at 200 MHz: ", "Transfers are the limit", "Running layer by layer would move at least", "g2.b1.depthwise takes 5.48 ms, 16 % of the network's time; 66 % of its cycles move 71 KiB of activations for which there is no room",
		"head: more weights than the platform supports in a layer (200 KiB)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the summary does not say %q:\n%s", want, text)
		}
	}
}

// A network that does not fit is the network attribute's mistake, with the
// layer and the bytes that lack.
func TestInfeasible(t *testing.T) {
	p := platform(t, "tinyraptor")
	p.Memory = 64
	_, err := run(context.Background(), new(pipeline.Task), Config{Network: arch.Spec{Width: 0.5, Resolution: 160}, Platform: p})
	if err == nil || !strings.HasPrefix(err.Error(), `network: MobileNetV2 0.5@160 does not run on tinyraptor: layer "stem": `) {
		t.Errorf("got %v", err)
	}
}

// Wrong attributes are found at plan time.
func TestValidate(t *testing.T) {
	p, space := platform(t, "tinyraptor"), smallSpace()
	subnet := space.Largest()
	for want, c := range map[string]Config{
		"network: write one of: width (or widths) and resolution; space and subnet; input and layers": {Platform: p},
		"platform.clock: must be above 0":     {Network: arch.Spec{Width: 1, Resolution: 96}},
		"plausible[0].clock: must be above 0": {Network: arch.Spec{Width: 1, Resolution: 96}, Platform: p, Plausible: []raptor.Platform{{}}},
		"supernet: images alone":              {Network: arch.Spec{Width: 1, Resolution: 96}, Platform: p, Dataset: &data.Set{}},
		"dataset: batch normalisation":        {Network: arch.Spec{Width: 1, Resolution: 96}, Platform: p, Supernet: &artifacts.File{}},
		"weights: the supernet has":           {Network: arch.Spec{Space: &space, Subnet: &subnet}, Platform: p, Dataset: &data.Set{}, Supernet: &artifacts.File{}, Weights: Random},
		"seed: only random weights":           {Network: arch.Spec{Width: 1, Resolution: 96}, Platform: p, Seed: 1},
		"network: only a subnet":              {Network: arch.Spec{Width: 1, Resolution: 96}, Platform: p, Dataset: &data.Set{}, Supernet: &artifacts.File{}},
	} {
		if err := validate(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A version gives what it gave.
func TestGolden(t *testing.T) {
	p := raptor.Platform{
		Name: "small", Clock: 1e8, PEs: 64, Rates: raptor.Rates{Conv: 64, Depthwise: 4, Pointwise: 64, Linear: 32},
		Memory: 64 << 10, WeightLimit: 64 << 10, ActivationCost: 4, WeightCost: 2, TileCost: 100, OversizeCost: 1e6,
		Power: 0.01, Policy: raptor.Resident, Scope: raptor.GroupScope,
	}
	slower := p
	slower.Clock, slower.TileCost = 0.9e8, 120
	pipelinetest.Golden(t, Stage, map[string]any{
		"estimate": estimate(t, Config{Network: arch.Spec{Width: 0.5, Resolution: 64}, Platform: p, Plausible: []raptor.Platform{p, slower}}),
		"export":   estimate(t, untrained(t)),
		"random":   estimate(t, Config{Network: anyNetwork(), Platform: p, Weights: Random, Seed: 7, Encoding: deployed.Signed}),
	})
}

// A platform of a datasheet may have neither a name nor a power: nothing is said of them.
func TestSummaryOfADatasheet(t *testing.T) {
	p := platform(t, "mcu")
	p.Name, p.Power = "", 0
	net := arch.MobileNetV2()
	scaled := net.Scale(net.Uniform(0.5), 96, arch.Rounding{})
	e, err := p.Estimate(scaled)
	if err != nil {
		t.Fatal(err)
	}
	if text := summary(p, scaled, e, roofline(p, e))[0]; !strings.Contains(text, "s at 216 MHz: ") || strings.Contains(text, " J") {
		t.Errorf("the summary begins %q", text)
	}
}
