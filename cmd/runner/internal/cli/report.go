package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"eyrie/cmd/runner/internal/view"
	"eyrie/hcl"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// print writes an object as a line of --json, as an event of this name.
func (a *app) print(event string, object any) error { return view.WriteLine(a.out, event, object) }

// jsonLines is the text of "runner help json".
const jsonLines = `With --json a command prints JSON: an object a line, and nothing else. Each has

  v      the version of the format, 1; fields may be added to it, none changes its meaning
  time   when it was written, in UTC
  event  what the line is about

and the fields of that event. A run prints run-started, then for each step what
becomes of it (step-cached, step-queued, step-waiting, step-started, step-progress, step-log,
step-moved, step-retry, step-done, step-failed, step-stopped, step-skipped), run-finished and, if it
succeeded, outputs. A run's journal has the same lines but for step-progress, and two
more: run-recipe with the recipe's text, and run-outputs. Other commands print what they
are asked for: plan, outputs, step, graph, stage, function, valid, formatted, version;
of runs run, cost, explained, log, diff, comparison, lineage, crate, mlflow; of the store collected,
usage, verified, repaired, adopted, forgotten, pinned, unpinned, pins; of the site site, key,
published (also of a run), pulled. Any command may
print

  notice      a message
  diagnostic  a mistake in the recipe, with its place and the text there
  error       what went wrong otherwise, with the exit code
`

// complain prints an error, one after the other where several are joined:
// diagnostics with the text at fault, a step's error with its line of
// the recipe.
func (a *app) complain(err error) { a.complainTo(a.err, a.paper(a.err), err) }

// complainTo is complain on another writer, unless it prints JSON.
func (a *app) complainTo(w io.Writer, p paper, err error) {
	var diags hcl.Diagnostics
	var step *pipeline.StepError
	var exit *exitError
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			a.complainTo(w, p, e)
		}
		return
	}
	if errors.As(err, &exit) && exit.err == nil {
		return
	}
	if errors.As(err, &diags) {
		a.diagnose(w, p, diags)
		return
	}
	errors.As(err, &step)
	if a.json {
		_ = a.print("error", newErrorJSON(err, step))
		return
	}
	say(w, "%s%v", p.style.Red("error: "), err)
	if step != nil {
		fmt.Fprint(w, snippet(step.Pos))
	}
}

// errorJSON is an error for programs.
type errorJSON struct {
	Message string `json:"message"`
	Code    int    `json:"code"` // the exit code
	Step    string `json:"step,omitempty"`
	Attr    string `json:"attr,omitempty"`
	Pos     string `json:"pos,omitempty"`
}

func newErrorJSON(err error, step *pipeline.StepError) errorJSON {
	e := errorJSON{Message: err.Error(), Code: exitCode(err)}
	if step != nil {
		e.Step, e.Attr, e.Pos = step.Step, step.Attr, step.Pos
	}
	return e
}

// snippet returns the line of the recipe at a position such as "paper.hcl:41",
// or "" if it cannot be read.
func snippet(pos string) string {
	at := strings.LastIndexByte(pos, ':')
	if at < 0 {
		return ""
	}
	n, err := strconv.Atoi(pos[at+1:])
	if err != nil {
		return ""
	}
	text, err := os.ReadFile(pos[:at])
	if err != nil {
		return ""
	}
	lines := strings.Split(string(text), "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	const width = 240 // columns
	return fmt.Sprintf("%6d | %s\n", n, view.Cut(strings.TrimRight(lines[n-1], "\r"), width))
}

// say writes a line to w.
func say(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// didYouMean returns " (did you mean …?)" if one of the names is close.
func didYouMean(name string, names []string) string {
	if near := mistake.Nearest(name, names); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// whatThereIs suggests the name that was meant, or else lists the first few.
func whatThereIs(name string, names []string) string {
	if near := didYouMean(name, names); near != "" || len(names) == 0 {
		return near
	}
	return ": there is " + view.Few(names, ", ")
}
