// Package history reads the journals of runs: which runs there were, and what happened in
// each.
//
// A list reads the first and the last lines of each journal, so that thousands of runs take
// a moment. [Read] reads one journal whole. Whatever a journal lacks, as one that an
// earlier version wrote or whose run was killed in the middle of a line, is left out.
package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// The statuses of runs that have not come to their end; others have a [pipeline.Status].
const (
	Running pipeline.Status = "running" // a living process writes the journal
	Killed  pipeline.Status = "killed"  // its process is gone
)

// Statuses are all that a run can have, in the order in which they are listed.
var Statuses = []pipeline.Status{Running, pipeline.Succeeded, pipeline.Failed, pipeline.Interrupted, Killed}

// Summary is what a list of runs shows of each.
type Summary struct {
	ID      string
	Recipe  string
	Status  pipeline.Status
	Started time.Time
	Ended   time.Time // of a run that did not come to its end: its last sign of life
	Steps   int       // how many there are
	Done    int
	Cached  int
	Failed  int
	Stopped int
	Skipped int
	Header  *pipeline.Header // nil in journals of earlier versions
}

// Elapsed returns how long the run took, or has gone on for.
func (s *Summary) Elapsed() time.Duration { return s.Ended.Sub(s.Started) }

// Changed returns the variables that were given another value than their default.
func (s *Summary) Changed() []pipeline.Variable {
	if s.Header == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.Header.Variables), func(v pipeline.Variable) bool { return !v.Given })
}

// List yields the runs of a recipe, or of all where it is "", the newest first. It reads
// no further than its caller looks. Journals that are not readable are passed over, as
// are those that vanish meanwhile.
func List(s *store.Store, recipe string) (iter.Seq[*Summary], error) {
	names, err := s.Runs()
	if err != nil {
		return nil, err
	}
	slices.Reverse(names)
	return func(yield func(*Summary) bool) {
		for len(names) > 0 {
			same := sameSecond(names)
			var batch []*Summary
			for _, name := range names[:same] {
				if r, err := summarize(s, name); err == nil && (recipe == "" || r.Recipe == recipe) {
					batch = append(batch, r)
				}
			}
			names = names[same:]
			slices.SortStableFunc(batch, func(a, b *Summary) int { return b.Started.Compare(a.Started) })
			for _, r := range batch {
				if !yield(r) {
					return
				}
			}
		}
	}, nil
}

// sameSecond returns how many of the names begin with the same time as the first: their
// order is told by their journals alone.
func sameSecond(names []string) int {
	at, _, _ := strings.Cut(names[0], "-")
	n := 1
	for n < len(names) && strings.HasPrefix(names[n], at+"-") {
		n++
	}
	return n
}

// summarize reads a journal's first and last lines.
func summarize(s *store.Store, run string) (*Summary, error) {
	f, err := s.OpenJournal(run)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	first, err := head(f)
	if err != nil {
		return nil, err
	}
	r := &Summary{ID: run}
	if !r.begin(first) {
		return nil, fmt.Errorf("the journal of run %s does not begin with a run's start", run)
	}
	if last, err := tail(f); err == nil && r.end(last) {
		return r, nil
	}
	alive := store.Writing(f)
	full, err := read(f, run) // which looks again, as it may have ended meanwhile
	if err != nil {
		return nil, err
	}
	full.settle(alive)
	return &full.Summary, nil
}

// begin takes what the run's first event says.
func (s *Summary) begin(line []byte) bool {
	var e pipeline.Event
	if json.Unmarshal(line, &e) != nil || e.Type != pipeline.RunStarted {
		return false
	}
	s.start(e)
	return true
}

func (s *Summary) start(e pipeline.Event) {
	s.Recipe, s.Started, s.Ended, s.Steps, s.Header = e.Recipe, e.Time, e.Time, e.Steps, e.Header
}

// end takes what the run's last event says, if it is the last.
func (s *Summary) end(line []byte) bool {
	var e pipeline.Event
	if json.Unmarshal(line, &e) != nil || e.Type != pipeline.RunFinished {
		return false
	}
	s.finish(e)
	return true
}

func (s *Summary) finish(e pipeline.Event) {
	s.Status, s.Ended = e.Status, e.Time
	s.Done, s.Cached, s.Failed, s.Stopped, s.Skipped = e.Done, e.Cached, e.Failed, e.Stopped, e.Skipped
}

// block is how much of a journal is read at once where its lines are looked for, in
// bytes: most first and last lines are shorter.
const block = 4 << 10

// head returns the first line of a file.
func head(f *os.File) ([]byte, error) {
	for n := int64(block); ; n *= 4 {
		b, err := readAt(f, 0, n)
		if err != nil {
			return nil, err
		}
		if end := bytes.IndexByte(b, '\n'); end >= 0 {
			return b[:end], nil
		} else if int64(len(b)) < n {
			return nil, errors.New("there is no line")
		}
	}
}

// tail returns the last line of a file that has its end.
func tail(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	for n := int64(block); ; n *= 4 {
		from := max(0, info.Size()-n)
		b, err := readAt(f, from, info.Size()-from)
		if err != nil {
			return nil, err
		}
		if end := bytes.LastIndexByte(b, '\n'); end >= 0 {
			if begin := bytes.LastIndexByte(b[:end], '\n'); begin >= 0 || from == 0 {
				return b[begin+1 : end], nil
			}
		}
		if from == 0 {
			return nil, errors.New("there is no line")
		}
	}
}

// readAt returns n bytes of a file, fewer where it ends.
func readAt(f *os.File, from, n int64) ([]byte, error) {
	b := make([]byte, n)
	read, err := f.ReadAt(b, from)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:read], err
}

// Find returns the run that a name on the command line stands for, among those of a
// recipe, or all where it is "": an ID or the beginning of one, last for the newest, last~1
// for the one before.
func Find(s *store.Store, recipe, name string) (string, error) {
	if back, ok := backOf(name); ok {
		return nthLast(s, recipe, name, back)
	}
	names, err := s.Runs()
	if err != nil {
		return "", err
	}
	from, exact := slices.BinarySearch(names, name)
	if exact {
		return name, nil
	}
	to := from
	for to < len(names) && name != "" && strings.HasPrefix(names[to], name) {
		to++
	}
	switch to - from {
	case 0:
		return "", &NoRunError{Name: name, Recipe: recipe}
	case 1:
		return names[from], nil
	}
	return "", &NoRunError{Name: name, Recipe: recipe, Several: names[from:to]}
}

// backOf returns how far before the last run a name such as last~2 is.
func backOf(name string) (back int, ok bool) {
	if name == "last" {
		return 0, true
	}
	rest, ok := strings.CutPrefix(name, "last~")
	if !ok {
		return 0, false
	}
	for _, c := range rest {
		if c < '0' || c > '9' || back > 1e8 {
			return 0, false
		}
		back = 10*back + int(c-'0')
	}
	return back, rest != ""
}

func nthLast(s *store.Store, recipe, name string, back int) (string, error) {
	runs, err := List(s, recipe)
	if err != nil {
		return "", err
	}
	n := 0
	for r := range runs {
		if n == back {
			return r.ID, nil
		}
		n++
	}
	return "", &NoRunError{Name: name, Recipe: recipe, Runs: &n}
}

// NoRunError reports a name that stands for no run, or for several.
type NoRunError struct {
	Name    string
	Recipe  string
	Several []string // that begin so
	Runs    *int     // of last~n: how many there are
}

func (e *NoRunError) Error() string {
	of := "in the store"
	if e.Recipe != "" {
		of = "of " + e.Recipe
	}
	switch {
	case len(e.Several) > 0:
		return fmt.Sprintf("%d runs begin with %q: %s, …; write more of its ID", len(e.Several), e.Name, e.Several[0])
	case e.Runs != nil && *e.Runs == 0:
		return fmt.Sprintf("there is no run %s yet", of)
	case e.Runs != nil:
		return fmt.Sprintf("there is no run %s: the runs %s are %d, so that the first is last~%d", e.Name, of, *e.Runs, *e.Runs-1)
	}
	return fmt.Sprintf("there is no run %q: want an ID (runner runs lists them), the beginning of one, last or last~1", e.Name)
}
