package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"eyrie/pipeline/mistake"
)

// Foreseer is a configuration from which outputs follow before the stage has run. Steps
// that use them are checked against them: a search whose limit no subnet of a supernet
// meets need not wait for the training.
type Foreseer interface {
	// Foresee returns the outputs that follow from what is known of the configuration (see
	// [mistake.Report.Knows]). They must come true: the step fails otherwise. In place of a
	// file stands an [artifacts.File] with Foreseen, whose content the stage answers for.
	Foresee(knows func(paths ...string) bool) Partial
}

// Partial is an object of which some fields are known, by name: values of the fields' types,
// or a Partial of them.
type Partial map[string]any

// MarshalJSON marks the object as a part: {"$partial": {…}}.
func (p Partial) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]map[string]any{"$partial": p})
}

// Foresee returns the outputs that follow from attribute values, those at the unknown
// paths aside: a [Partial] in JSON; nil for nothing. The values must have no mistakes.
func (s *Stage) Foresee(values map[string]any, unknown []mistake.Path) json.RawMessage {
	config, ok := s.partial(values, unknown)
	if !ok {
		return nil
	}
	return foresee(config, mistake.New(unknown...).Knows)
}

// partial returns the configuration of what is known of attribute values, which must have
// no mistakes.
func (s *Stage) partial(values map[string]any, unknown []mistake.Path) (config any, ok bool) {
	values = without(values, unknown...)
	attrs, err := json.Marshal(values)
	if err != nil {
		return nil, false
	}
	config, err = s.decode(values, attrs)
	return config, err == nil
}

func foresee(config any, knows func(paths ...string) bool) json.RawMessage {
	f, ok := config.(Foreseer)
	if !ok {
		return nil
	}
	outputs := f.Foresee(knows)
	if len(outputs) == 0 {
		return nil
	}
	b, err := json.Marshal(outputs)
	if err != nil {
		panic(fmt.Sprintf("pipeline: foreseen outputs: %v", err))
	}
	return b
}

// cameTrue returns an error where an output is not what was foreseen of it.
func cameTrue(config, output any) error {
	foreseen := foresee(config, func(...string) bool { return true })
	if foreseen == nil {
		return nil
	}
	made, err := json.Marshal(output)
	if err != nil {
		return err
	}
	before, err := exactTree(foreseen)
	if err != nil {
		return err
	}
	after, err := exactTree(made)
	if err != nil {
		return err
	}
	return differs(before, after, nil)
}

// exactTree decodes JSON without rounding its numbers.
func exactTree(b []byte) (tree any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&tree)
	return tree, err
}

// differs returns an error for the first part of before that after does not have.
func differs(before, after any, at mistake.Path) error {
	object, _ := before.(map[string]any)
	part, partial := object["$partial"].(map[string]any)
	if _, file := object["$foreseen"]; file {
		return nil
	}
	if !partial {
		x, _ := json.Marshal(before)
		y, _ := json.Marshal(after)
		if !bytes.Equal(x, y) {
			return fmt.Errorf("output %v is %s, and %s was foreseen: a mistake of the stage", at, y, x)
		}
		return nil
	}
	whole, _ := after.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(part)) {
		if err := differs(part[name], whole[name], append(slices.Clip(at), mistake.Step{Name: name})); err != nil {
			return err
		}
	}
	return nil
}
