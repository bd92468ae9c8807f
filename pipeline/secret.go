package pipeline

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"eyrie/artifacts"
)

// secret reports whether one of the attributes is sensitive: then what the stage says
// of its work, in errors, logs and progress, may hold it.
func secret(attrs map[string]Attr) bool {
	for _, a := range attrs {
		if a.Sensitive {
			return true
		}
	}
	return false
}

// quotesSecret reports whether a text has a part of a sensitive attribute's value in it.
func quotesSecret(attrs map[string]Attr, text string) bool {
	for _, a := range attrs {
		if a.Sensitive && Quotes(text, a.Value) {
			return true
		}
	}
	return false
}

// Quotes reports whether a text has a string or a number of a value, a tree as an Attr
// holds it, in it.
func Quotes(text string, value any) bool {
	switch v := value.(type) {
	case string:
		return v != "" && strings.Contains(text, v)
	case float64:
		return strings.Contains(text, strconv.FormatFloat(v, 'g', -1, 64)) || strings.Contains(text, strconv.FormatFloat(v, 'f', -1, 64))
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return Quotes(text, e) })
	case map[string]any:
		for k, e := range v {
			if Quotes(text, k) || Quotes(text, e) {
				return true
			}
		}
	case Traced:
		return Quotes(text, v.Value)
	case artifacts.File:
		return v.Path != "" && strings.Contains(text, v.Path)
	}
	return false
}

// revealing returns the first sensitive attribute on which the stage's output may
// depend, "" for none: then the output is as sensitive. It does not depend on what is no
// part of the key, such as the address from which files of known digests are downloaded.
func revealing(s *Stage, attrs map[string]Attr) string {
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if f := s.Config.Field(name); attrs[name].Sensitive && (f == nil || f.Key) {
			return name
		}
	}
	return ""
}

// mayKeep fails where the step's output would hold a sensitive value and its block does
// not say that it may: results are kept in clear.
func mayKeep(s *Step, attrs map[string]Attr) error {
	if name := revealing(s.Stage, attrs); name != "" && !s.Reveal {
		return stepError(attrs[name].Pos, s, name, ErrReveals)
	}
	return nil
}

// ErrReveals reports a sensitive attribute of a step whose block does not say that its
// results, which are kept in clear, may hold it.
var ErrReveals = errors.New("is sensitive, and what the stage makes of it is kept in clear: write reveal = true in the block if it may be (its outputs are then sensitive, too)")

// errHidden stands for an error of a stage that read a secret: its text may hold it.
var errHidden = errors.New("failed; why is not shown, as a sensitive value takes part")

var errSecret = errors.New("is not what the stage takes; why is not shown, as a sensitive value takes part")

// hidden is the log of a stage that read a secret.
const hidden = `{"level":"info","message":"(not shown, as a sensitive value takes part)"}`

// discreet returns an event of a stage that read a secret without what the stage says.
func discreet(e Event) Event {
	if e.Log != nil {
		e.Log = []byte(hidden)
	}
	if e.Progress != nil {
		p := *e.Progress
		p.Note = ""
		e.Progress = &p
	}
	return e
}
