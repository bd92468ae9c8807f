package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/mistake"
)

// formatVersion is part of every preimage: a change of how preimages are made
// must never hit an old record.
const formatVersion = 1

// action is a step with every attribute known: ready to be looked up or run.
type action struct {
	id        artifacts.ActionID
	preimage  []byte
	config    any
	inputs    map[string]artifacts.File // local files that the recipe names, by path
	sensitive map[string]bool           // attributes that must not be written down
}

// newAction makes the action of a step from its attributes, all of them known.
func newAction(ctx context.Context, o *Observations, s *Step, attrs Attrs) (*action, error) {
	a := &action{config: s.Config}
	for name, attr := range attrs {
		if attr.Sensitive {
			put(&a.sensitive, name, true)
		}
	}
	if a.config == nil {
		var err error
		if a.config, err = a.decode(ctx, o, s, attrs); err != nil {
			return nil, err
		}
	}
	if err := a.observe(ctx, o, s, attrs); err != nil {
		return nil, err
	}
	if err := a.checkReferences(o.store); err != nil {
		return nil, attrErrors(s, attrs, err)
	}
	var err error
	if a.preimage, err = s.Stage.preimage(a.config, a.sensitive); err != nil {
		return nil, stepError(s.Pos, s, "", err)
	}
	a.id = artifacts.NewActionID(a.preimage)
	return a, nil
}

// decode makes the step's configuration, in which files have their digests.
func (a *action) decode(ctx context.Context, o *Observations, s *Step, attrs Attrs) (any, error) {
	values := make(map[string]any, len(attrs))
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		value := attrs[name].Value
		err := eachFile(reflect.ValueOf(&value).Elem(), func(f *artifacts.File) error {
			return a.identify(ctx, o.store, f)
		})
		if err != nil && attrs[name].Sensitive && ctx.Err() == nil { // it names the file
			err = errUnread
		}
		if err != nil {
			return nil, stepError(attrs[name].Pos, s, name, err)
		}
		values[name] = value
	}
	config, err := s.Stage.Decode(values)
	if err != nil {
		return nil, attrErrors(s, attrs, err)
	}
	return config, nil
}

// put puts a value into a map, which it makes where there is none: most actions need none.
func put[V any](m *map[string]V, name string, v V) {
	if *m == nil {
		*m = make(map[string]V)
	}
	(*m)[name] = v
}

// identify gives a local file its digest.
func (a *action) identify(ctx context.Context, store *store.Store, f *artifacts.File) error {
	if f.Foreseen != "" {
		return errors.New("the file is foreseen, not made: a mistake of the pipeline")
	}
	f.Name = "" // what a file is called must not change what is done with it
	if !f.Digest.IsZero() || f.Path == "" {
		return nil
	}
	path := f.Path
	hashed, err := store.Hash(ctx, path)
	if missing := (*fs.PathError)(nil); errors.Is(err, fs.ErrNotExist) && errors.As(err, &missing) && missing.Path != path {
		return fmt.Errorf("%s cannot be read: is it a link that leads nowhere? (%w)", missing.Path, missing.Err)
	} else if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s", path)
	} else if err != nil {
		return err
	}
	*f = hashed
	f.Path = path
	put(&a.inputs, path, hashed)
	return nil
}

// preimage returns the canonical JSON that names the action: no insignificant
// space, keys sorted, files as handles, fields that cannot change the result
// left out, sensitive attributes as their digest.
func (s *Stage) preimage(config any, sensitive map[string]bool) ([]byte, error) {
	b, err := canonical(config)
	if err != nil {
		return nil, err
	}
	attributes, err := sortKeys(b, s.Config)
	if err != nil {
		return nil, err
	}
	if len(sensitive) > 0 {
		if attributes, err = digestSensitive(attributes, sensitive); err != nil {
			return nil, err
		}
	}
	out := append([]byte(`{"format":`), strconv.Itoa(formatVersion)...)
	out = append(append(out, `,"stage":`...), quotedJSON(s.Name)...)
	out = strconv.AppendInt(append(out, `,"version":`...), int64(s.Version), 10)
	out = append(append(out, `,"attributes":`...), attributes...)
	return append(out, '}'), nil
}

// digestSensitive replaces the sensitive members of an object by their digests.
func digestSensitive(object []byte, sensitive map[string]bool) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, err
	}
	for name, v := range members {
		if sensitive[name] {
			b, err := canonical(map[string]any{"$sensitive": artifacts.Sum(v)})
			if err != nil {
				return nil, err
			}
			members[name] = b
		}
	}
	return canonical(members)
}

// canonical encodes v as JSON with sorted keys and no HTML escapes.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// StepError is a step's failure, with its place in the recipe.
type StepError struct {
	Pos  string // "paper.hcl:41"
	Step string
	Attr string // the attribute at fault, or ""
	Err  error

	machine bool // it is about the machine, and not about the recipe
	alike   int  // other steps with the same one
}

func (e *StepError) Error() string {
	step := "step " + e.Step
	switch {
	case e.alike == 1:
		step += " and one more"
	case e.alike > 1:
		step += fmt.Sprintf(" and %d more", e.alike)
	}
	return e.Pos + ": " + step + ": " + e.reason()
}

// reason is the error without its place.
func (e *StepError) reason() string {
	if e.Attr != "" {
		return e.Attr + ": " + e.Err.Error()
	}
	return e.Err.Error()
}

func (e *StepError) Unwrap() error { return e.Err }

func stepError(pos string, s *Step, attr string, err error) *StepError {
	if pos == "" {
		pos = s.Pos
	}
	return &StepError{Pos: pos, Step: s.ID, Attr: attr, Err: err}
}

// attrErrors places mistakes at the attributes that they name.
func attrErrors(s *Step, attrs Attrs, err error) error {
	var sensitive []string
	for name, a := range attrs {
		if a.Sensitive {
			sensitive = append(sensitive, name)
		}
	}
	values, unknown, perhaps := judged(attrs)
	return placed(s, attrs, s.Stage.Discreet(mistake.Of(err), sensitive, values, unknown, perhaps...))
}

// placed places mistakes at the attributes that they name.
func placed(s *Step, attrs Attrs, found []*mistake.Mistake) error {
	var all []error
	for _, m := range found {
		all = append(all, attrError(s, attrs, m))
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// attrError places a mistake at the attribute that it names, if it names one.
func attrError(s *Step, attrs Attrs, m *mistake.Mistake) *StepError {
	if len(m.Path) == 0 {
		return stepError(s.Pos, s, "", m.Err)
	}
	return stepError(attrs.Of(m.Path[0].Name).Pos, s, m.Path.String(), m.Err)
}
