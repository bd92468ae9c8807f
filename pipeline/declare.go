package pipeline

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"eyrie/pipeline/mistake"
)

// Declaration is the attribute in which a step declares its outputs, where its stage has
// none of its own: see [Declarer].
const Declaration = "declare"

// Declarer is a configuration whose attribute "declare" says which outputs the step has.
// The stage's function then returns [Declared].
type Declarer interface {
	// Declared returns the outputs of a declaration without mistakes.
	Declared() []Field
}

// Declared is the output of a step that declares its outputs: the value of each, of the
// type that was declared.
type Declared map[string]any

var declaredType = reflect.TypeFor[Declared]()

// outputType derives a stage's output type, which has no fields where steps declare them.
func outputType(config, output reflect.Type, name string) *Type {
	if output != declaredType {
		return typeOf(output, reflect.Value{}, name+" output", "")
	}
	if !config.Implements(reflect.TypeFor[Declarer]()) {
		panic(fmt.Sprintf("pipeline: %s: a configuration of declared outputs must be a Declarer", name))
	}
	return &Type{Kind: Object}
}

// Declares reports whether the stage's steps declare their outputs.
func (s *Stage) Declares() bool { return s.declares }

// Declare returns the stage as a step uses it that declares these outputs, or the
// mistakes in the declaration.
func (s *Stage) Declare(declaration any) (*Stage, error) {
	var unknown []mistake.Path
	var perhaps []string
	for _, f := range s.Config.Fields {
		if f.Name != Declaration {
			unknown, perhaps = append(unknown, mistake.Path{{Name: f.Name}}), append(perhaps, f.Name)
		}
	}
	config, err := s.examine(map[string]any{Declaration: declaration}, unknown, perhaps...)
	if err != nil {
		return nil, err
	}
	derived := *s
	derived.Output = &Type{Kind: Object, Fields: config.(Declarer).Declared()}
	return &derived, nil
}

// ParseType reads a type as recipes write it, such as "list(number)" or
// "object({a = number})". Numbers in it came about as kind says.
func ParseType(text string, kind Provenance) (*Type, error) {
	p := typeParser{rest: text, kind: kind}
	t, err := p.parse(0)
	if err == nil && p.next() != "" {
		err = fmt.Errorf("nothing can follow %s", t)
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not a type: %w", text, err)
	}
	return t, nil
}

type typeParser struct {
	rest string
	kind Provenance
}

// next returns the next token without taking it: a name, a sign, or "" in the end.
func (p *typeParser) next() string {
	p.rest = strings.TrimSpace(p.rest)
	end := strings.IndexFunc(p.rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("(){}=,", r) })
	switch {
	case end < 0:
		return p.rest
	case end == 0:
		return p.rest[:1]
	}
	return p.rest[:end]
}

// take takes a token.
func (p *typeParser) take() string {
	t := p.next()
	p.rest = p.rest[len(t):]
	return t
}

// expect takes a token that must be the one given.
func (p *typeParser) expect(want string) error {
	if got := p.take(); got != want {
		return fmt.Errorf("%q is expected, not %q", want, got)
	}
	return nil
}

// deepestType bounds how deeply types are nested.
const deepestType = 32

func (p *typeParser) parse(depth int) (*Type, error) {
	if depth > deepestType {
		return nil, fmt.Errorf("it is nested more than %d times", deepestType)
	}
	switch name := p.take(); name {
	case "any":
		return &Type{Kind: Any}, nil
	case "bool":
		return &Type{Kind: Bool}, nil
	case "number":
		return &Type{Kind: Number}, nil
	case "string":
		return &Type{Kind: String}, nil
	case "list":
		return p.collection(List, depth)
	case "map":
		return p.collection(Map, depth)
	case "object":
		return p.object(depth)
	case "set", "tuple":
		return nil, fmt.Errorf("JSON has no %ss: write list(T)", name)
	default:
		return nil, fmt.Errorf("there is no type %q; the types are any, bool, number, string, list(T), map(T) and object({ NAME = T, … })", name)
	}
}

func (p *typeParser) collection(kind Kind, depth int) (*Type, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	elem, err := p.parse(depth + 1)
	if err != nil {
		return nil, err
	}
	return &Type{Kind: kind, Elem: elem}, p.expect(")")
}

func (p *typeParser) object(depth int) (*Type, error) {
	if err := errors.Join(p.expect("("), p.expect("{")); err != nil {
		return nil, err
	}
	t := &Type{Kind: Object}
	for p.next() != "}" {
		name := p.take()
		if name == "" || strings.Contains("(){}=,", name) {
			return nil, fmt.Errorf("a name is expected, not %q", name)
		}
		if t.Field(name) != nil {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		if err := p.expect("="); err != nil {
			return nil, err
		}
		inner, err := p.parse(depth + 1)
		if err != nil {
			return nil, err
		}
		t.Fields = append(t.Fields, Field{Name: name, Type: inner, Required: true, Key: true, Kind: p.kind})
		if p.next() == "," {
			p.take()
		} else if p.next() != "}" {
			return nil, fmt.Errorf("a comma is expected, not %q", p.next())
		}
	}
	return t, errors.Join(p.expect("}"), p.expect(")"))
}
