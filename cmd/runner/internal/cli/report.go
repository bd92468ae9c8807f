package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"

	"eyrie/hcl"
	"eyrie/pipeline"
)

// print writes a value as JSON on a line of its own.
func (a *app) print(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// complain prints an error, one after the other where several are joined:
// diagnostics with the text at fault, a step's error with its line of
// the recipe.
func (a *app) complain(err error) {
	var diags hcl.Diagnostics
	var step *pipeline.StepError
	var exit *exitError
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			a.complain(e)
		}
		return
	}
	if errors.As(err, &exit) && exit.err == nil {
		return
	}
	if errors.As(err, &diags) {
		a.diagnose(diags)
		return
	}
	errors.As(err, &step)
	if a.json {
		_ = a.print(newErrorJSON(err, step))
		return
	}
	say(a.err, "%s%v", a.style(a.err).Red("error: "), err)
	if step != nil {
		fmt.Fprint(a.err, snippet(step.Pos))
	}
}

// errorJSON is an error for programs.
type errorJSON struct {
	Version int    `json:"v"`
	Event   string `json:"event"` // "error"
	Message string `json:"message"`
	Code    int    `json:"code"` // the exit code
	Step    string `json:"step,omitempty"`
	Attr    string `json:"attr,omitempty"`
	Pos     string `json:"pos,omitempty"`
}

func newErrorJSON(err error, step *pipeline.StepError) errorJSON {
	e := errorJSON{Version: pipeline.EventVersion, Event: "error", Message: err.Error(), Code: exitCode(err)}
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
	return fmt.Sprintf("%6d | %s\n", n, strings.TrimRight(lines[n-1], "\r"))
}

// say writes a line to w.
func say(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// didYouMean returns " (did you mean …?)" if one of the names is close.
func didYouMean(name string, names []string) string {
	best, least := "", len(name)/3+1
	for _, n := range names {
		if d := levenshtein.Distance(name, n, nil); d <= least && d < len(n) && (best == "" || d < least) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
