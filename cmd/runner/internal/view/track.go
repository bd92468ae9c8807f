package view

import (
	"strings"
	"time"

	"eyrie/pipeline"
)

// track follows one running step and estimates its rate.
type track struct {
	id       string
	note     string // until there is progress: why it runs, what it waits for
	since    time.Time
	progress *pipeline.Progress
	samples  []sample // of the last window, oldest first
}

type sample struct {
	at   time.Time
	done float64
}

// window is how far back the rate looks: long enough to be steady, short
// enough to follow a stage from one phase to the next.
const window = 30 * time.Second

func (t *track) update(at time.Time, p pipeline.Progress) {
	if t.progress != nil && (p.Done < t.progress.Done || p.Unit != t.progress.Unit || p.Total != t.progress.Total) {
		t.samples = nil // another phase
	}
	t.progress = &p
	t.samples = append(t.samples, sample{at, p.Done})
	for len(t.samples) > 2 && at.Sub(t.samples[1].at) > window {
		t.samples = t.samples[1:]
	}
}

// rate returns how much is done per second, or 0 while nobody can tell.
func (t *track) rate() float64 {
	if len(t.samples) < 2 {
		return 0
	}
	first, last := t.samples[0], t.samples[len(t.samples)-1]
	elapsed := last.at.Sub(first.at).Seconds()
	if elapsed < 0.2 || last.done <= first.done {
		return 0
	}
	return (last.done - first.done) / elapsed
}

// part returns how much of the whole is done, from 0 to 1, if that is known.
func (t *track) part() (part float64, known bool) {
	p := t.progress
	if p == nil || p.Total <= 0 {
		return 0, false
	}
	return min(max(p.Done/p.Total, 0), 1), true
}

// text describes the progress: "1m02s left  450/1200 images  12 images/s  loss 0.41". The
// more important is first, as the end may be cut.
func (t *track) text(now time.Time) string {
	p := t.progress
	if p == nil {
		return join(Duration(now.Sub(t.since)), t.note)
	}
	count := number(p.Done)
	if p.Total > 0 {
		count += "/" + number(p.Total)
	}
	if p.Unit != "" {
		count += " " + p.Unit
	}
	var rate, left string
	if r := t.rate(); r > 0 {
		rate = number(r) + " " + p.Unit + "/s"
		if p.Unit == "" {
			rate = number(r) + "/s"
		}
		if seconds := (p.Total - p.Done) / r; seconds >= 1 {
			left = Duration(time.Duration(min(seconds, 1e6)*float64(time.Second)).Round(time.Second)) + " left"
		}
	}
	return join(left, count, rate, p.Note)
}

// join puts two spaces between the texts that are not empty.
func join(texts ...string) string {
	var some []string
	for _, s := range texts {
		if s != "" {
			some = append(some, s)
		}
	}
	return strings.Join(some, "  ")
}
