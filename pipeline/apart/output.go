package apart

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"eyrie/pipeline"
)

// Output takes what a process writes to standard output and standard error: lines of
// the stage's log, until a crashing Go program's last words, which begin with one of
// lastWords and would bury the reason under stacks.
type Output struct {
	Level  zerolog.Level        // of what is wanted; a line is information
	Report func(pipeline.Event) // receives the lines

	mu    sync.Mutex
	line  []byte // the beginning of one
	words []byte // last words, with their beginning
}

var lastWords = [][]byte{[]byte("panic: "), []byte("fatal error: "), []byte("runtime: "), []byte("runtime/cgo: "), []byte("SIGSEGV: "), []byte("SIGQUIT: "), []byte("SIGABRT: ")}

const (
	longestLine  = 16 << 10 // what is behind it is another line
	longestWords = 64 << 10 // a stack for each goroutine; the one at fault comes first
)

// Write never fails: a stage does not fail because of what it prints.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(b)
	for len(b) > 0 && o.words == nil {
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		o.line, b = append(o.line, part...), rest
		if whole || len(o.line) > longestLine {
			o.flush()
		}
	}
	if o.words != nil {
		o.words = append(o.words, b[:min(len(b), max(longestWords-len(o.words), 0))]...)
	}
	return n, nil
}

// flush makes an entry of the line, or begins the last words with it.
func (o *Output) flush() {
	line := o.line
	o.line = nil
	if slices.ContainsFunc(lastWords, func(begin []byte) bool { return bytes.HasPrefix(line, begin) }) {
		o.words = append(line, '\n')
		return
	}
	o.entry(line)
}

func (o *Output) entry(line []byte) {
	if len(bytes.TrimSpace(line)) == 0 || o.Level > zerolog.InfoLevel {
		return
	}
	entry, _ := json.Marshal(map[string]string{"level": "info", "message": string(line)}) // strings always marshal
	o.Report(pipeline.Event{Type: pipeline.StepLog, Log: entry})
}

// End returns the last words of a process that crashed, or nil. If the process did not
// crash, lines that looked like last words are log entries.
func (o *Output) End(crashed bool) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.flush()
	}
	if !crashed {
		for line := range bytes.Lines(o.words) {
			o.entry(bytes.TrimSuffix(line, []byte("\n")))
		}
		o.words = nil
	}
	return o.words
}
