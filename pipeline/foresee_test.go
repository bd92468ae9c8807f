package pipeline

import (
	"context"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/pipeline/mistake"
)

type seerConfig struct {
	Size  int `json:"size" min:"1"`
	Extra int `json:"extra,omitempty"`
}

func (c seerConfig) Foresee(knows func(paths ...string) bool) Partial {
	if !knows("size") {
		return nil
	}
	return Partial{"shape": Partial{"side": c.Size}, "weights": artifacts.File{Foreseen: `{"size":1}`}}
}

type seerOutput struct {
	Shape struct {
		Side int `json:"side"`
		Area int `json:"area"`
	} `json:"shape"`
	Weights artifacts.File `json:"weights"`
}

// seer makes a shape whose side is the size, plus what extra says.
var seer = Define("seer", 1, "", seerConfig{}, func(_ context.Context, _ *Task, c seerConfig) (out seerOutput, err error) {
	out.Shape.Side, out.Shape.Area = c.Size+c.Extra, c.Size*c.Size
	return out, nil
})

// What follows from known attributes is foreseen, with the rest of its object left out.
func TestForesee(t *testing.T) {
	got := seer.Foresee(map[string]any{"size": 3.0}, nil)
	if want := `{"$partial":{"shape":{"$partial":{"side":3}},"weights":{"$foreseen":{"size":1}}}}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := seer.Foresee(map[string]any{"size": nil}, []mistake.Path{mistake.Parse("size")}); got != nil {
		t.Errorf("of an unknown size, %s is foreseen", got)
	}
	if got := schemaStage.Foresee(map[string]any{}, nil); got != nil {
		t.Errorf("a stage that foresees nothing: %s", got)
	}
}

// An output that is not what was foreseen is the stage's mistake, whatever it is.
func TestForeseenMustComeTrue(t *testing.T) {
	if _, err := seer.run(t.Context(), new(Task), seerConfig{Size: 2}); err != nil {
		t.Error(err)
	}
	_, err := seer.run(t.Context(), new(Task), seerConfig{Size: 2, Extra: 1})
	if err == nil || !strings.HasPrefix(err.Error(), "output shape.side is 3, and 2 was foreseen") {
		t.Errorf("got %v", err)
	}
}
