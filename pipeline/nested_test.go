package pipeline

import (
	"context"
	"encoding/json"
	"testing"

	"eyrie/pipeline/mistake"
)

// picky is a type that refuses to be decoded for one of its fields.
type picky struct {
	Kind string  `json:"kind,omitempty"`
	Size float64 `json:"size,omitempty"`
}

func (p *picky) UnmarshalJSON(b []byte) error {
	type plain picky
	if err := json.Unmarshal(b, (*plain)(p)); err != nil {
		return err
	}
	if p.Kind == "odd" {
		return mistake.At("kind", "is odd")
	}
	return nil
}

func (p picky) Check(r *mistake.Report) {
	if r.Knows("size") && p.Size < 0 {
		r.At("size").Badf("is negative")
	}
}

type pickyConfig struct {
	One  picky   `json:"one"`
	Many []picky `json:"many,omitempty"`
}

func (c pickyConfig) Check(r *mistake.Report) {
	c.One.Check(r.At("one"))
	for i, p := range c.Many {
		p.Check(r.At("many", i))
	}
}

// A value that cannot be decoded for one of its fields hides no mistake of the others.
func TestMistakesBesideOneOfDecoding(t *testing.T) {
	s := Define("picky", 1, "", pickyConfig{}, func(_ context.Context, _ *Task, _ pickyConfig) (numOutput, error) { return numOutput{}, nil })
	_, err := s.Decode(map[string]any{
		"one":  map[string]any{"kind": "odd", "size": -1.0},
		"many": []any{map[string]any{"size": -1.0}, map[string]any{"kind": "odd"}},
	})
	if got, want := err.Error(), "many.kind: is odd\none.kind: is odd\none.size: is negative"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
