package view

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"eyrie/pipeline"
)

// Live shows a run on a terminal: a line with a bar for each running step, and
// above them, for good, a line for each step that ended.
type Live struct {
	lines
	console console
	bars    *mpb.Progress
	start   time.Time

	mu      sync.Mutex // guards what the bars are drawn from
	running map[string]*liveStep
	queued  map[string]bool // steps that a scheduler has, and has not started
	ended   int
}

type liveStep struct {
	track
	bar *mpb.Bar
}

// NewLive returns a view on a terminal.
func NewLive(terminal *os.File, opt Options) *Live {
	v := &Live{lines: newLines(opt), start: time.Now(), running: map[string]*liveStep{}, queued: map[string]bool{}}
	v.console = console{cupwriter.New(terminal, false), terminal}
	v.bars = mpb.New(mpb.WithConsoleWriter(v.console), mpb.WithRefreshRate(100*time.Millisecond))
	v.add(math.MaxInt, v.status)
	return v
}

// Event redraws the step's bar or lets it end.
func (v *Live) Event(e pipeline.Event) {
	v.mu.Lock()
	s, begun := v.running[e.Step], false
	delete(v.queued, e.Step)
	switch e.Type {
	case pipeline.StepQueued:
		v.queued[e.Step] = true
	case pipeline.StepWaiting:
		begun = s == nil
		s = v.begin(e, waits(e))
	case pipeline.StepStarted:
		begun = s == nil
		s = v.begin(e, v.started(e))
	case pipeline.StepProgress:
		if s != nil {
			s.update(e.Time, *e.Progress)
		}
	case pipeline.StepCached, pipeline.StepDone, pipeline.StepFailed, pipeline.StepStopped, pipeline.StepSkipped:
		delete(v.running, e.Step)
		v.ended++
	}
	running := v.running[e.Step] != nil
	v.mu.Unlock() // what follows waits for the bars, which wait for the lock

	switch {
	case begun:
		s.bar = v.add(0, func(width int) string { return v.draw(width, &s.track) })
	case s != nil && !running && s.bar != nil:
		s.bar.Abort(true)
	}
	if e.Resumed {
		v.Notice(v.line(" ", e.Step, "goes on from its checkpoint"))
	}
	v.Notice(v.of(e))
}

// begin notes that a step waits or runs from now on.
func (v *Live) begin(e pipeline.Event, note string) *liveStep {
	s := v.running[e.Step]
	if s == nil {
		s = &liveStep{}
		v.running[e.Step] = s
	}
	s.track = track{id: e.Step, since: e.Time, note: note}
	return s
}

// Notice prints the text above the bars.
func (v *Live) Notice(text string) {
	if text != "" {
		fmt.Fprintln(v.bars, text)
	}
}

// Close wipes the bars away and leaves the lines.
func (v *Live) Close() {
	v.bars.Shutdown()
	v.console.Flush(0)
}

// console draws on a terminal from the first column on, even where the terminal
// has just echoed a key.
type console struct {
	*cupwriter.Writer
	terminal *os.File
}

func (c console) Flush(lines int) error {
	if _, err := c.terminal.WriteString("\r"); err != nil {
		return err
	}
	return c.Writer.Flush(lines)
}

// add adds a line at the bottom, above those of a greater weight.
func (v *Live) add(weight int, draw func(width int) string) *mpb.Bar {
	fill := func(w io.Writer, s decor.Statistics) error {
		_, err := io.WriteString(w, draw(s.AvailableWidth))
		return err
	}
	options := []mpb.BarOption{mpb.BarFillerTrim(), mpb.BarRemoveOnComplete()}
	if weight != 0 {
		options = append(options, mpb.BarPriority(weight))
	}
	return v.bars.New(0, builder(fill), options...)
}

// builder makes a function a bar.
type builder mpb.BarFillerFunc

func (b builder) Build() mpb.BarFiller { return mpb.BarFillerFunc(b) }

// draw returns a running step's line: its name, bar, and progress.
func (v *Live) draw(width int, t *track) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	bar := 20 // columns
	if width < 100 {
		bar = 10
	}
	now := time.Now()
	name := "  " + Pad(Cut(t.id, 32), v.names) + "  "
	text := t.text(now)
	part, known := t.part()
	if known {
		text = fmt.Sprintf("%3d%%  %s", int(100*part), text)
	}
	room := width - Width(width, name) - bar - 2
	if room < 10 { // a narrow terminal: no bar
		return Cut(name+text, width)
	}
	drawn := strings.Repeat(" ", bar)
	if known {
		full := int(part * float64(bar))
		drawn = v.Style.Green(strings.Repeat("━", full)) + v.Style.Dim(strings.Repeat("─", bar-full))
	}
	return v.Style.Bold(name) + drawn + "  " + Cut(text, room)
}

// status returns the last line: how far the run is.
func (v *Live) status(width int) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	elapsed := time.Since(v.start)
	text := fmt.Sprintf("%d of %s ended, %s", v.ended, Count(len(v.Plan.Steps), "step"), Duration(elapsed))
	if n := len(v.queued); n > 0 {
		text += fmt.Sprintf(", %d queued", n)
	}
	if left := v.Expected - elapsed; left > time.Second {
		text += ", about " + Roughly(left) + " left"
	}
	return v.Style.Dim(Cut(text, width))
}
