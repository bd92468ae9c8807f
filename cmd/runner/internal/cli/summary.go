package cli

import (
	"context"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

// summary tells how a run ended.
type summary struct {
	*app
	style   view.Style
	plan    *pipeline.Plan
	run     *pipeline.Run
	store   *store.Store
	files   publisher
	quiet   bool // no outputs are printed
	elapsed time.Duration
}

// write prints the count of everything and, after a success, the outputs: failures have
// been told when they happened. The events have told programs all but the outputs. It
// returns how the command ends.
func (s *summary) write(ctx context.Context) error {
	if !s.json {
		say(s.out, "%s", s.counts())
	}
	switch s.run.Status {
	case pipeline.Failed:
		return reported(exitNo)
	case pipeline.Interrupted:
		return reported(exitInterrupted)
	}
	if s.quiet {
		return nil
	}
	outputs, err := s.run.Values, s.run.Mistakes
	s.files.all(ctx, outputs)
	if s.json {
		doc := outputsDocument(ctx, s.store, outputs, false)
		doc.Run = s.run.ID
		_ = s.print("outputs", doc)
	} else {
		s.outputs(outputs)
	}
	if err != nil {
		s.complain(err)
		return reported(exitNo)
	}
	return nil
}

// counts words how many steps ended how: "1 ran, 4 cached in 3m12s (run …)".
func (s *summary) counts() string {
	names := map[pipeline.EventType][]string{}
	var left []string
	for _, e := range s.run.Steps {
		if e.Left {
			left = append(left, e.ID)
			continue
		}
		names[e.Type] = append(names[e.Type], e.ID)
	}
	y := s.style
	var parts []string
	add := func(ids []string, what string, colour func(string) string, named bool) {
		if len(ids) == 0 {
			return
		}
		text := colour(humanize.Comma(int64(len(ids))) + " " + what)
		if named {
			text += " (" + view.Few(ids, ", ") + ")"
		}
		parts = append(parts, text)
	}
	plain := func(s string) string { return s }
	add(names[pipeline.StepDone], "ran", y.Green, false)
	add(names[pipeline.StepCached], "cached", plain, false)
	add(names[pipeline.StepFailed], "failed", y.Red, true)
	add(names[pipeline.StepStopped], "stopped", y.Yellow, true)
	add(left, "left to go on elsewhere", y.Yellow, true)
	add(names[pipeline.StepSkipped], "skipped", y.Yellow, true)
	if len(parts) == 0 {
		parts = []string{"no steps"}
	}
	text := strings.Join(parts, ", ") + " in " + view.Duration(s.elapsed) + y.Dim("; run "+s.run.ID)
	if s.run.Status == pipeline.Interrupted {
		text += "\ninterrupted: run again to go on"
	}
	return text
}

// outputs prints the recipe's outputs: text of several lines, such as a table,
// as it is between empty lines, anything else in the recipe's notation.
func (s *summary) outputs(values []value) {
	const width = 100 // columns
	apart := true     // from what was printed before
	for _, v := range values {
		if len(v.Unknown) > 0 { // not among the targets
			continue
		}
		text, block := bare(v.Value).(string)
		block = block && !v.Sensitive && strings.Contains(text, "\n")
		if apart || block {
			say(s.out, "")
		}
		apart = block
		name := s.style.Bold(v.Name)
		switch {
		case v.Sensitive:
			say(s.out, "%s = (sensitive)", name)
		case block:
			say(s.out, "%s:\n\n%s", name, strings.Trim(text, "\n"))
		default:
			say(s.out, "%s = %s", name, spread(v.Value, "", width))
		}
	}
}

// bare returns a value without its origins.
func bare(v any) any {
	if t, ok := v.(pipeline.Traced); ok {
		return t.Value
	}
	return v
}
