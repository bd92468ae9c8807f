package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"eyrie/pipeline"
)

// View shows a run. Its methods may be called by several goroutines.
type View interface {
	Event(pipeline.Event) // shows a change, in the order in which they happened
	Notice(text string)   // says something that is no event
	Close()               // ends the view and leaves the terminal as it was
}

// Options describe the run that is to be shown.
type Options struct {
	Plan    *pipeline.Plan
	Style   Style
	Verbose bool // show cached steps one by one

	Expected time.Duration // what the run is likely to take; 0 where nobody knows
}

// CanRedraw reports whether f is a terminal that can move its cursor.
func CanRedraw(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// lines words the events that leave a line behind.
type lines struct {
	Options
	names int // columns of the steps' names
}

func newLines(opt Options) lines {
	var ids []string
	for _, s := range opt.Plan.Steps {
		if s.Verdict != pipeline.Cached || opt.Verbose {
			ids = append(ids, s.ID)
		}
	}
	const limit = 32
	return lines{opt, Width(limit, ids...)}
}

// of returns the line that an event leaves behind, or "".
func (l *lines) of(e pipeline.Event) string {
	switch e.Type {
	case pipeline.StepCached:
		if l.Verbose || l.Plan.Step(e.Step).Verdict != pipeline.Cached {
			return l.line(l.Style.Dim("="), e.Step, "cached")
		}
	case pipeline.StepWaiting:
		return l.line(" ", e.Step, waits(e))
	case pipeline.StepLog:
		return l.line(" ", e.Step, LogLine(l.Style, e.Log))
	case pipeline.StepRetry:
		return l.line(l.Style.Yellow("!"), e.Step, fmt.Sprintf("attempt %d failed, trying again: %s", e.Attempt, firstLine(e.Error)))
	case pipeline.StepDone:
		return l.line(l.Style.Green("✓"), e.Step, Seconds(e.Elapsed))
	case pipeline.StepFailed:
		return l.line(l.Style.Red("✗"), e.Step, l.Style.Red("failed")+" after "+Seconds(e.Elapsed))
	case pipeline.StepStopped:
		if e.Left {
			return l.line(l.Style.Yellow("■"), e.Step, "left to go on elsewhere after "+Seconds(e.Elapsed))
		}
		return l.line(l.Style.Yellow("■"), e.Step, "stopped after "+Seconds(e.Elapsed))
	}
	return ""
}

// started words what a step begins with: why it runs, or that it was begun.
func (l *lines) started(e pipeline.Event) string {
	if nothingNew(e.Reasons) && !e.Resumed {
		return e.Stage
	}
	return join(e.Stage, Reasons(e.Reasons, e.Resumed))
}

// waits words what a step waits for.
func waits(e pipeline.Event) string { return "waits for " + e.Holder + ", which does the same" }

func (l *lines) line(mark, step, text string) string {
	return mark + " " + l.Style.Bold(Pad(step, l.names)) + "  " + text
}

// LogLine words a line of a stage's log.
func LogLine(y Style, raw json.RawMessage) string {
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return strings.TrimSpace(string(raw))
	}
	text, _ := fields["message"].(string)
	level, _ := fields["level"].(string)
	delete(fields, "message")
	delete(fields, "level")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		text += fmt.Sprintf("  %s=%v", name, fields[name])
	}
	switch level {
	case "warn":
		return y.Yellow("warning: ") + text
	case "error":
		return y.Red("error: ") + text
	case "debug", "trace":
		return y.Dim(text)
	}
	return text
}

func firstLine(s string) string {
	line, _, more := strings.Cut(s, "\n")
	if more {
		line += " …"
	}
	return line
}
