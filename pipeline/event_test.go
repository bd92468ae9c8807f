package pipeline

import (
	"encoding/json"
	"testing"
	"time"
)

// The line of a cached step is what package json makes of the event.
func TestPlainLine(t *testing.T) {
	for _, step := range []string{"a", `net["70ms"]`, `net["a <b> & \\ \" ü"]`} {
		for _, at := range []time.Time{time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2026, 2, 3, 4, 5, 6, 120, time.UTC)} {
			e := Event{Version: EventVersion, Time: at, Run: newRunID(), Type: StepCached, Step: step, Action: "ab12"}
			want, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(e.line()); got != string(want)+"\n" {
				t.Errorf("got %s, want %s", got, want)
			}
			e.Sources = []Source{{Attr: "x", Path: "a.csv"}}
			if got := e.line(); !json.Valid(got) || string(got) == string(want)+"\n" {
				t.Errorf("got %s, which lacks the sources", got)
			}
		}
	}
}
