package exec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/rs/zerolog"

	"eyrie/pipeline"
	"eyrie/pipeline/process"
)

// report is a line of a program's progress.
type report struct {
	Done  *float64 `json:"done"`
	Total float64  `json:"total"`
	Unit  string   `json:"unit"`
	Note  string   `json:"note"`
	Log   string   `json:"log"`
	Level string   `json:"level"`
}

// parseReport reads a line of progress: an object with done, or with log.
func parseReport(line string) (r report, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(line)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if _, err := d.Token(); err != io.EOF {
		return r, errors.New("something follows the object")
	}
	switch {
	case r.Log != "" && r.Done != nil, r.Log == "" && r.Done == nil:
		return r, errors.New("it has neither done nor log, or both")
	case r.Done != nil && (*r.Done < 0 || r.Total < 0 || math.IsInf(r.Total, 0)):
		return r, errors.New("done and total cannot be negative")
	}
	if r.Level != "" {
		if level, err := zerolog.ParseLevel(r.Level); err != nil || level < zerolog.TraceLevel || level > zerolog.ErrorLevel {
			return r, fmt.Errorf("%q is no level: use debug, info, warn or error", r.Level)
		}
	}
	return r, nil
}

// listener passes on what a program says.
type listener struct {
	task *pipeline.Task
	hide []string
	bad  int // lines of progress that were none
}

func (l *listener) line(text string) { l.task.Log().Info().Msg(text) }

// shown returns a text of a report without the secrets, which may have been escaped in it.
func (l *listener) shown(text string) string { return process.Hidden(text, l.hide) }

// mostBad is how many bad lines of progress are told.
const mostBad = 5

func (l *listener) progress(line string) {
	r, err := parseReport(line)
	switch {
	case err != nil:
		if l.bad++; l.bad <= mostBad {
			l.task.Log().Warn().Str("line", line[:min(len(line), 200)]).Msgf("no line of progress, such as {\"done\": 3, \"total\": 10}: %v", err)
		}
	case r.Log != "":
		level, _ := zerolog.ParseLevel(r.Level)
		if r.Level == "" {
			level = zerolog.InfoLevel
		}
		l.task.Log().WithLevel(level).Msg(l.shown(r.Log))
	default:
		l.task.Report(pipeline.Progress{Done: *r.Done, Total: r.Total, Unit: l.shown(r.Unit), Note: l.shown(r.Note)})
	}
}
