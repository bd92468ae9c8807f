package pipeline

import (
	"context"
	"encoding/json"
	"errors"
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

// either is a type that is written as a number or as a list.
type either [2]int

func (either) Written() string { return "integer or list of two" }

func (e *either) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &e[0]) == nil {
		e[1] = e[0]
		return nil
	}
	if json.Unmarshal(b, (*[2]int)(e)) != nil {
		return errors.New("want an integer or two")
	}
	return nil
}

// A type that is written in several ways decodes itself, and what it refuses is found where it is.
func TestWrittenInSeveralWays(t *testing.T) {
	type config struct {
		Sizes []struct {
			Size either `json:"size"`
		} `json:"sizes"`
	}
	s := Define("either", 1, "", config{}, func(_ context.Context, _ *Task, _ config) (numOutput, error) { return numOutput{}, nil })
	sizes := func(v ...any) map[string]any {
		var all []any
		for _, size := range v {
			all = append(all, map[string]any{"size": size})
		}
		return map[string]any{"sizes": all}
	}
	if _, err := s.Decode(sizes(3.0, []any{1.0, 2.0})); err != nil {
		t.Error(err)
	}
	_, err := s.Decode(sizes(3.0, "x"))
	if err == nil || err.Error() != "sizes[1].size: want an integer or two" {
		t.Errorf("got %v", err)
	}
	if f := s.Config.Field("sizes").Type.Elem.Field("size"); f.Type.String() != "integer or list of two" {
		t.Errorf("its type is %s", f.Type)
	}
}
