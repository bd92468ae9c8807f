package pipeline

import (
	"errors"
	"maps"
	"slices"

	"eyrie/pipeline/mistake"
)

// secret reports whether one of the attributes is sensitive and not guarded by the stage:
// then what the stage says of its work, in errors, logs and progress, may hold it.
func secret(s *Stage, attrs Attrs) bool {
	for name, a := range attrs {
		if f := s.Config.Field(name); a.Sensitive && (f == nil || !f.Guarded) {
			return true
		}
	}
	return false
}

// Discreet returns mistakes that [Stage.Check] found in values, those aside of which it
// says no more than where they are: they may follow from the attributes that are
// sensitive. The others are found without knowing these. To look for a secret in a
// message would not do, as a stage may have rounded it, escaped it or reckoned with it.
func (s *Stage) Discreet(found []*mistake.Mistake, sensitive []string, values map[string]any, unknown []mistake.Path, perhaps ...string) []*mistake.Mistake {
	if len(sensitive) == 0 || len(found) == 0 {
		return found
	}
	values, unknown = maps.Clone(values), slices.Clone(unknown)
	for _, name := range sensitive {
		values[name] = nil
		unknown = append(unknown, mistake.Path{{Name: name}})
	}
	harmless := make(map[string]bool)
	for _, m := range mistake.Of(s.Check(values, unknown, perhaps...)) {
		harmless[m.Error()] = true
	}
	all := make([]*mistake.Mistake, len(found))
	for i, m := range found {
		if all[i] = m; !harmless[m.Error()] {
			all[i] = s.hidden(m)
		}
	}
	return all
}

// hidden returns a mistake that may follow from a secret, without what is wrong.
func (s *Stage) hidden(m *mistake.Mistake) *mistake.Mistake {
	return &mistake.Mistake{Path: s.Config.named(m.Path), Err: errSecret}
}

// named returns a path as far as the type says how its steps are called: a map's key may
// be a secret.
func (t *Type) named(p mistake.Path) mistake.Path {
	for i, step := range p {
		f := t.Field(step.Name)
		switch {
		case t.Kind == Object && f != nil:
			t = f.Type
		case t.Kind == List:
			t = t.Elem
		default:
			return p[:i]
		}
	}
	return p
}

// revealing returns the first sensitive attribute on which the stage's output may
// depend, "" for none: then the output is as sensitive. It does not depend on what is no
// part of the key, such as the address from which files of known digests are downloaded.
func revealing(s *Stage, attrs Attrs) string {
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if f := s.Config.Field(name); attrs[name].Sensitive && (f == nil || f.Key) {
			return name
		}
	}
	return ""
}

// mayKeep fails where the step's output would hold a sensitive value and its block does
// not say that it may: results are kept in clear.
func mayKeep(s *Step, attrs Attrs) error {
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

var errUnread = errors.New("cannot be read; why is not shown, as a sensitive value takes part")

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
	if e.Usage != nil { // how long a secret is
		u := *e.Usage
		u.Read, u.Written, u.Inputs, u.Outputs = 0, 0, 0, 0
		e.Usage = &u
	}
	return e
}

// Sensitive reports whether secrets may be in the step's result, which then stays on this
// machine.
func (s *Planned) Sensitive() bool { return s.Secret || secret(s.Stage, s.Attrs) }
