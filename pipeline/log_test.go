package pipeline

import (
	"strings"
	"testing"
)

// A stage that logs without end does not fill the journal, which says what it lacks.
func TestEndlessLog(t *testing.T) {
	for length, most := range map[int]int{10: mostLines, 1 << 14: mostLogged >> 14} {
		line := []byte(`"` + strings.Repeat("x", length-2) + `"`)
		var events []Event
		l := &wire{report: func(e Event) { events = append(events, e) }, names: strings.NewReplacer()}
		for range most + 7 {
			if n, err := l.Write(line); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		}
		l.cut()
		if last := events[len(events)-1]; len(events) != most+1 || !strings.Contains(string(last.Log), "7 more lines of the log are left out") {
			t.Errorf("%d events, the last %s", len(events), last.Log)
		}
	}
}
