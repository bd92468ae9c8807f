package predict

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"eyrie/nas/arch"
)

func space() arch.Space {
	b := arch.MobileNetV2()
	return arch.Space{Backbone: b, Widths: b.Scaled(0.25), Resolutions: []int{32, 48}, Expansions: []int{3, 6}, Depths: []int{1, 3}, Kernels: []int{3, 5}}
}

// Different subnets have different features, each block sets two, and two
// of its resolution, which sets one, and blocks beyond the depth none.
func TestEncoderIsInjective(t *testing.T) {
	s := space()
	e := NewEncoder(s)
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]string{}
	for range 2000 {
		n := s.Sample(rng)
		x := e.Encode(n)
		ones, want := 0, 1
		key := ""
		for _, v := range x {
			ones += int(v)
			key += string(rune('0' + int(v)))
		}
		for i, g := range n.Groups {
			if s.Elastic(i) {
				want += 4 * len(g)
			}
		}
		if ones != want {
			t.Fatalf("%v sets %d features, want %d", n, ones, want)
		}
		if other, ok := seen[key]; ok && other != n.String() {
			t.Fatalf("%s and %v have the same features", other, n)
		}
		seen[key] = n.String()
	}
}

func predictor(t *testing.T, method string) *Predictor {
	t.Helper()
	s := space()
	rng := rand.New(rand.NewPCG(3, 4))
	var samples []Sample
	for range 80 {
		n := s.Sample(rng)
		samples = append(samples, Sample{n, math.Log(float64(s.Network(n).MACs()))})
	}
	p, err := NewPredictor(s, method, 1, samples)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A predictor read from its JSON predicts the same, to the bit, and a linear
// one is the sum of its parts.
func TestPredictorRoundTrip(t *testing.T) {
	for _, m := range Methods(1) {
		p := predictor(t, m.Name)
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(5, 6))
		intercept, weights, additive := p.Additive()
		if additive != (m.Name == "ridge") {
			t.Errorf("%s: additive %v", m.Name, additive)
		}
		for range 100 {
			n := p.Space.Sample(rng)
			got := q.Predict(n)
			if got != p.Predict(n) {
				t.Fatalf("%s: %v is predicted %v, and %v after a round trip", m.Name, n, p.Predict(n), got)
			}
			sum := intercept
			for i, v := range p.encoder.Encode(n) {
				if additive && v != 0 {
					sum += weights[i]
				}
			}
			if additive && math.Abs(sum-got) > 1e-9 {
				t.Fatalf("%v is predicted %v, its parts sum to %v", n, got, sum)
			}
		}
	}
}

// What is no predictor is refused, saying why.
func TestParseRefuses(t *testing.T) {
	good := predictor(t, "ridge")
	for want, spoil := range map[string]func(*Predictor){
		"not a predictor: it has no samples":               func(p *Predictor) { p.Samples = nil },
		`not a predictor: there is no method "tea leaves"`: func(p *Predictor) { p.Method = "tea leaves" },
		"not a predictor: space: ":                         func(p *Predictor) { p.Space.Kernels = nil },
		"not a predictor: sample 0: resolution 33":         func(p *Predictor) { p.Samples[0].Subnet.Resolution = 33 },
	} {
		p := *good
		p.Samples = slices.Clone(good.Samples)
		spoil(&p)
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(b); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := Parse([]byte("x")); err == nil {
		t.Error("x is accepted")
	}
	if _, err := Parse([]byte(`{"revision": 1}`)); err == nil || !strings.Contains(err.Error(), "train it again") {
		t.Errorf("got %v for what earlier methods learned", err)
	}
}
