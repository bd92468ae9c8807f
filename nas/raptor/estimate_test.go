package raptor

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/arch"
)

func tinyraptor(t testing.TB) Platform {
	t.Helper()
	p, err := Preset("tinyraptor")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mixed returns a chip like TinyRAPTOR whose maps stay wherever there is room.
func mixed(t testing.TB) Platform {
	p := tinyraptor(t)
	p.Rates = Rates{Conv: 94.01, Depthwise: 5.562, Pointwise: 94.01, Linear: 94.01}
	p.Memory, p.Policy, p.Free = 280<<10, Mixed, Free{}
	p.OutputCost, p.ActivationCost, p.WeightCost, p.SpillCost, p.TileCost, p.OversizeCost = 0, 8.088, 1.721, 0, 1, 1679000
	return p
}

func mobilenet(width float64, resolution int) arch.Network {
	b := arch.MobileNetV2()
	return b.Scale(b.Uniform(width), resolution, arch.Rounding{})
}

// The preset agrees with the paper's measurements: table 1's μ within 6 % rms,
// table 3's latencies of MobileNetV2 within 6 % each.
func TestPresetAgreesWithPaper(t *testing.T) {
	p := tinyraptor(t)
	sum := 0.0
	for _, e := range []struct {
		width      float64
		resolution int
		mu         float64
	}{
		{0.4, 96, 0.174}, {0.5, 96, 0.166}, {0.6, 96, 0.14},
		{0.4, 160, 0.112}, {0.5, 160, 0.115}, {0.6, 160, 0.102},
		{0.4, 224, 0.07}, {0.5, 224, 0.08}, {0.6, 224, 0.071},
	} {
		got, err := p.Estimate(mobilenet(e.width, e.resolution))
		if err != nil {
			t.Fatal(err)
		}
		d := math.Log(got.Mu / e.mu)
		sum += d * d
		if want := map[bool]int{true: 1}[e.width > 0.5]; len(got.Unsupported) != want {
			t.Errorf("width %v: unsupported %v, want %d layers", e.width, got.Unsupported, want)
		}
	}
	if rms := math.Sqrt(sum / 9); rms > 0.06 {
		t.Errorf("table 1: rms log error of μ %.3f", rms)
	}
	for _, e := range []struct {
		width      float64
		resolution int
		latency    float64
	}{{0.5, 160, 0.0871}, {0.35, 192, 0.106}} {
		got, err := p.Estimate(mobilenet(e.width, e.resolution))
		if err != nil {
			t.Fatal(err)
		}
		if r := got.Latency / e.latency; math.Abs(r-1) > 0.06 {
			t.Errorf("width %v at %d: %.1f ms, published %.1f", e.width, e.resolution, 1e3*got.Latency, 1e3*e.latency)
		}
	}
}

// A recipe may start from a preset and replace values; what comes out is
// complete, and the same after another round through JSON.
func TestPlatformJSON(t *testing.T) {
	var p Platform
	if err := json.Unmarshal([]byte(`{"preset":"tinyraptor","memory":65536,"tile_cost":0,"rates":{"linear":1}}`), &p); err != nil {
		t.Fatal(err)
	}
	want := tinyraptor(t)
	want.Memory, want.TileCost, want.Rates.Linear = 65536, 0, 1
	if p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again Platform
	if err := json.Unmarshal(b, &again); err != nil || again != p {
		t.Errorf("after JSON: %+v, %v", again, err)
	}
	if err := json.Unmarshal([]byte(`{"preset":"tinyrapter"}`), &p); err == nil {
		t.Error("an unknown preset was accepted")
	}
}

// Every preset is valid and says for each value where it comes from.
func TestPresets(t *testing.T) {
	for _, name := range Presets() {
		p, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for value := range presets()[name].Values {
			if presets()[name].Source[value] == "" {
				t.Errorf("%s: %s has no source", name, value)
			}
		}
	}
}

// A network from an ONNX file costs what the same network from its backbone
// does, under every policy and scope: names play no part.
func TestONNXEstimate(t *testing.T) {
	file := artifacts.Local("../arch/testdata/small.onnx")
	fromFile, err := arch.Spec{ONNX: &file}.Network()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../arch/testdata/small.json")
	if err != nil {
		t.Fatal(err)
	}
	var b arch.Backbone
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	net := b.Scale(b.Scaled(1), 32, arch.Rounding{Divisor: 1})
	for _, p := range variants(mixed(t)) {
		p.Memory = 6 << 10
		got, err := p.Estimate(fromFile)
		if err != nil {
			t.Fatal(err)
		}
		want, err := p.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		if got.Latency != want.Latency || got.Mu != want.Mu || got.PeakMemory != want.PeakMemory || got.Traffic != want.Traffic {
			t.Errorf("%s, %s: %v s, μ %v, %d bytes moved; want %v, %v, %d", p.Policy, p.Scope, got.Latency, got.Mu, got.Traffic, want.Latency, want.Mu, want.Traffic)
		}
	}
}

// The MCU takes about as long and as much energy as table 3 says for a network
// of MCUNet's MACs: 200 ms and 30.2 mJ for 12.8 M.
func TestMCU(t *testing.T) {
	p, err := Preset("mcu")
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.Estimate(mobilenet(0.35, 96))
	if err != nil {
		t.Fatal(err)
	}
	scale := 12.8e6 / float64(e.MACs)
	if math.Abs(scale*e.Latency/0.2-1) > 0.02 || math.Abs(scale*e.Energy/0.03024-1) > 0.02 || e.Mu != 0 {
		t.Errorf("%d MACs take %v s and %v J, μ %v", e.MACs, e.Latency, e.Energy, e.Mu)
	}
}

func BenchmarkEstimateNetwork(b *testing.B) { benchmarkNetwork(b, mixed(b)) }

// BenchmarkEstimateDouble chooses the tiles of every layer by time.
func BenchmarkEstimateDouble(b *testing.B) {
	p := mixed(b)
	p.DoubleBuffer = true
	benchmarkNetwork(b, p)
}

func benchmarkNetwork(b *testing.B, p Platform) {
	net := mobilenet(0.5, 160)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Estimate(net); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "networks/s")
}

// A rate beyond one MAC per cycle and PE is refused by its attribute.
func TestRatesWithinPEs(t *testing.T) {
	p := mixed(t)
	p.Rates.Linear = float64(p.PEs)
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	p.Rates.Linear++
	if err := p.Validate(); err == nil || err.Error() != "rates.linear: 129 MAC per cycle are more than 128 PEs do: want at most 1 each" {
		t.Error(err)
	}
}

// A quantity whose unit was forgotten or mistaken is a mistake that says how to write it.
func TestUnlikelyQuantities(t *testing.T) {
	tests := []struct {
		set  func(*Platform)
		want string
	}{
		{func(p *Platform) { p.Clock = 150 }, `clock: 150 Hz can hardly be meant: want at least 1 kHz; write the unit, as in "200MHz"`},
		{func(p *Platform) { p.Clock = 0.2 }, `clock: 200 mHz can hardly be meant: want at least 1 kHz; write the unit, as in "200MHz"`},
		{func(p *Platform) { p.Clock = 2e14 }, `clock: 200 THz can hardly be meant: want at most 100 GHz; write the unit, as in "200MHz"`},
		{func(p *Platform) { p.Power = 25e6 }, `power: 25 MW can hardly be meant: want at most 10 kW; write the unit, as in "25mW"`},
		{func(p *Platform) { p.Clock, p.Power = 32768, 0 }, ""},
		{func(p *Platform) { p.Clock, p.Power = 3e9, 350 }, ""},
	}
	for _, test := range tests {
		p, err := Preset("tinyraptor")
		if err != nil {
			t.Fatal(err)
		}
		test.set(&p)
		if err := p.Validate(); test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
