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
	samples  []sample  // of the last window, oldest first
	begun    time.Time // the phase: what is counted, and up to what
	changed  time.Time // when there was last something new to tell
}

type sample struct {
	at   time.Time
	done float64
}

// window is how far back the rate looks at least. It looks as far as half of the phase,
// so that a pause, as for a measurement, neither stops nor speeds up what is left by much,
// and what lasts is followed.
const window = 30 * time.Second

// maxSamples bounds the samples that are kept: of more, every other one will do.
const maxSamples = 512

func (t *track) update(at time.Time, p pipeline.Progress) {
	if t.progress != nil && (p.Done < t.progress.Done || p.Unit != t.progress.Unit || p.Total != t.progress.Total) {
		t.samples = nil // another phase
	}
	if len(t.samples) == 0 {
		t.begun = at
	}
	if t.progress == nil || *t.progress != p {
		t.changed = at
	}
	t.progress = &p
	t.samples = append(t.samples, sample{at, p.Done})
	back := max(window, at.Sub(t.begun)/2)
	for len(t.samples) > 2 && at.Sub(t.samples[1].at) > back {
		t.samples = t.samples[1:]
	}
	if len(t.samples) > maxSamples {
		t.thin()
	}
}

// thin drops every other sample but the first and the last.
func (t *track) thin() {
	kept := t.samples[:1]
	for i := 2; i < len(t.samples)-1; i += 2 {
		kept = append(kept, t.samples[i])
	}
	t.samples = append(kept, t.samples[len(t.samples)-1])
}

// left estimates the seconds until the phase is over, 0 while nobody can tell. Between
// reports it counts down, but not beyond what would be left if the next part were done now.
func (t *track) left(now time.Time) float64 {
	r := t.rate()
	if r == 0 || t.progress.Total <= t.progress.Done {
		return 0
	}
	n := len(t.samples)
	last, before := t.samples[n-1], t.samples[n-2]
	rest := t.progress.Total - t.progress.Done
	part := min(max(last.done-before.done, 0), rest)
	return max(rest/r-now.Sub(last.at).Seconds(), (rest-part)/r)
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
	var rate, left string
	if r := t.rate(); r > 0 {
		rate = Number(r) + " " + p.Unit + "/s"
		if p.Unit == "" {
			rate = Number(r) + "/s"
		}
		if seconds := t.left(now); seconds >= 1 {
			left = Duration(time.Duration(min(seconds, 1e6)*float64(time.Second)).Round(time.Second)) + " left"
		}
	}
	return join(left, t.count(), rate, p.Note)
}

// count words what is done: "450/1200 images".
func (t *track) count() string {
	p := t.progress
	text := Number(p.Done)
	if p.Total > 0 {
		text += "/" + Number(p.Total)
	}
	return strings.TrimSpace(text + " " + p.Unit)
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
