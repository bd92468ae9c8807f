package pipeline

import (
	"strings"
	"testing"
)

// A stage that logs without end does not fill the journal, which says what it lacks.
func TestEndlessLog(t *testing.T) {
	var events []Event
	l := &wire{report: func(e Event) { events = append(events, e) }, names: strings.NewReplacer()}
	for range mostLines + 7 {
		if n, err := l.Write([]byte(`{"message":"x"}`)); n == 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	l.cut()
	if last := events[len(events)-1]; len(events) != mostLines+1 || !strings.Contains(string(last.Log), "7 more lines of the log are left out") {
		t.Errorf("%d events, the last %s", len(events), last.Log)
	}
}
