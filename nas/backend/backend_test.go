package backend

import (
	"encoding/json"
	"testing"

	"eyrie/nas/nn"
	"eyrie/nas/torch"
)

// A configuration's JSON is its key: a default that is written, as a recipe with variables
// does, trains nothing again, and what changes a result does.
func TestDefaultsAreNotInTheKey(t *testing.T) {
	key := func(c Choice) string {
		c.Arithmetic = nn.Auto
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	plain := Choice{Backend: Torch, Torch: &torch.Options{}}
	for _, tt := range []struct {
		name  string
		a, b  Choice
		equal bool
	}{
		{"go", Choice{}, Choice{Backend: Go}, true},
		{"torch", Choice{}, Choice{Backend: Torch}, false},
		{"one rank", plain, Choice{Backend: Torch, Torch: &torch.Options{Ranks: 1}}, true},
		{"two ranks", plain, Choice{Backend: Torch, Torch: &torch.Options{Ranks: 2}}, false},
		{"cpu", plain, Choice{Backend: Torch, Torch: &torch.Options{Device: torch.CPU}}, true},
		{"cuda", plain, Choice{Backend: Torch, Torch: &torch.Options{Device: torch.CUDA}}, false},
		{"float32", plain, Choice{Backend: Torch, Torch: &torch.Options{Precision: torch.Float32}}, true},
		{"bfloat16", plain, Choice{Backend: Torch, Torch: &torch.Options{Precision: torch.BFloat16}}, false},
	} {
		if a, b := key(tt.a), key(tt.b); (a == b) != tt.equal {
			t.Errorf("%s: %s and %s", tt.name, a, b)
		}
	}
}
