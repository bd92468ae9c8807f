package exec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"

	"eyrie/pipeline"
	"eyrie/pipeline/quantity"
)

// mostJSON is how large a JSON file may be, in bytes: what is larger belongs into a file.
const mostJSON = 64 << 20

// value returns an output that the program has written to a JSON file. Documents holds those that
// were read.
func (c Config) value(w *workspace, name string, o Output, documents map[string]any) (any, error) {
	document, ok := documents[o.JSON]
	if !ok {
		at, err := w.find(o.JSON)
		if err != nil {
			return nil, err
		}
		if document, err = readJSON(at); err != nil {
			return nil, fmt.Errorf("%s: %w", o.JSON, err)
		}
		if err := c.free(at, o.JSON); err != nil {
			return nil, err
		}
		if secret := c.secretWithin(document); secret != "" {
			return nil, fmt.Errorf("%s has the value of the secret %s in it, and results are kept in clear", o.JSON, secret)
		}
		documents[o.JSON] = document
	}
	return o.read(name, document)
}

// read finds the output's value in a document.
func (o Output) read(name string, document any) (any, error) {
	at := o.At
	path, err := parsePath(at)
	if err != nil {
		return nil, err
	}
	if at == "" {
		at, path = name, []any{name}
	}
	value, err := follow(document, path)
	if err != nil {
		return nil, fmt.Errorf("%s has no %s: %w", o.JSON, at, err)
	}
	t, err := pipeline.ParseType(o.Type, o.kind())
	if err != nil {
		return nil, err
	}
	_, by := scaleOf(o.Unit)
	made, err := typed(value, t, by)
	if err != nil {
		return nil, fmt.Errorf("%s: %s%w", o.JSON, at, err)
	}
	return made, nil
}

// readJSON reads a document. Numbers stay as they are written.
func readJSON(path string) (any, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > mostJSON {
		return nil, fmt.Errorf("is no file of at most %d MiB", mostJSON>>20)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseJSON(b)
}

func parseJSON(b []byte) (document any, err error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // a byte order mark, as Windows' programs write it
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err = d.Decode(&document); err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("something follows the first value")
		}
	}
	if err == nil {
		return document, repeated(b)
	}
	line := 1 + bytes.Count(b[:min(int(d.InputOffset()), len(b))], []byte("\n"))
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		line = 1 + bytes.Count(b[:min(int(syntax.Offset), len(b))], []byte("\n"))
		for _, word := range []string{"NaN", "Infinity", "-Infinity"} { // as Python writes them
			if bytes.HasPrefix(b[min(max(int(syntax.Offset)-1, 0), len(b)):], []byte(word)) || word == "-Infinity" && bytes.HasPrefix(b[min(max(int(syntax.Offset)-2, 0), len(b)):], []byte(word)) {
				return nil, fmt.Errorf("line %d: %s is no number that JSON has: write null, or leave it out", line, word)
			}
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("it ends in the midst of its value")
	}
	return nil, fmt.Errorf("line %d: it is no JSON: %w", line, err)
}

// repeated fails if an object in valid JSON has a name twice: which of the values counts
// would be a guess.
func repeated(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var open []map[string]bool // of each value that is open: the names so far, nil for a list
	name := false              // the next token is a name
	for {
		token, err := d.Token()
		if err != nil {
			return nil // its end
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
		case string:
			if name {
				names := open[len(open)-1]
				if names[t] {
					return fmt.Errorf("line %d: an object has %q twice", 1+bytes.Count(b[:min(int(d.InputOffset()), len(b))], []byte("\n")), t)
				}
				names[t], name = true, false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}

// parsePath reads a path into a document: names with dots between them, and indexes in
// brackets. A name with other signs stands in brackets and quotes.
func parsePath(text string) (path []any, err error) {
	for rest := text; rest != ""; {
		switch {
		case rest[0] == '[' && strings.HasPrefix(rest, `["`):
			quoted, err := strconv.QuotedPrefix(rest[1:])
			if err != nil || !strings.HasPrefix(rest[1+len(quoted):], "]") {
				return nil, fmt.Errorf("%q is no path: a name in brackets is in quotes, [\"a b\"]", text)
			}
			name, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("%q is no path: %w", text, err)
			}
			path, rest = append(path, name), rest[len(quoted)+2:]
		case rest[0] == '[':
			index, after, ok := strings.Cut(rest[1:], "]")
			i, err := strconv.Atoi(index)
			if !ok || err != nil || i < 0 {
				return nil, fmt.Errorf("%q is no path: an index is a number in brackets, [0]", text)
			}
			path, rest = append(path, i), after
		default:
			if len(path) > 0 && rest[0] != '.' {
				return nil, fmt.Errorf("%q is no path: there is a dot between names", text)
			} else if len(path) > 0 {
				rest = rest[1:]
			}
			end := strings.IndexAny(rest+".", ".[")
			if end == 0 {
				return nil, fmt.Errorf("%q is no path: write names such as \"best.latency\"", text)
			}
			path, rest = append(path, rest[:end]), rest[end:]
		}
	}
	return path, nil
}

// follow returns what a path leads to.
func follow(v any, path []any) (any, error) {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := v.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("%q would be in an object, and there is %s", step, describe(v))
			}
			if v, ok = object[step]; !ok {
				return nil, fmt.Errorf("there is no %q%s", step, keysOf(object))
			}
		case int:
			list, ok := v.([]any)
			if !ok || step >= len(list) {
				return nil, fmt.Errorf("there is no element %d in %s", step, describe(v))
			}
			v = list[step]
		}
	}
	return v, nil
}

func keysOf(object map[string]any) string {
	const most = 8
	keys := slices.Sorted(maps.Keys(object))
	if len(keys) == 0 {
		return "; the object is empty"
	}
	if len(keys) > most {
		keys = append(keys[:most], "…")
	}
	return "; there is " + strings.Join(keys, ", ")
}

// describe says what a value is.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return "the number " + v.String()
	case string:
		return fmt.Sprintf("the string %.60q", v)
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return "an object"
}

// typed returns a value as the type that was declared, or where in it is something else.
func typed(v any, t *pipeline.Type, by quantity.Scale) (any, error) {
	switch t.Kind {
	case pipeline.Any:
		return untyped(v, by)
	case pipeline.Bool:
		if v, ok := v.(bool); ok {
			return v, nil
		}
	case pipeline.String:
		if v, ok := v.(string); ok {
			return v, nil
		}
	case pipeline.Number:
		if v, ok := v.(json.Number); ok {
			return number(v, by)
		}
	case pipeline.List:
		if v, ok := v.([]any); ok {
			return typedList(v, t.Elem, by)
		}
	case pipeline.Map:
		if v, ok := v.(map[string]any); ok {
			return typedMap(v, by, func(string) *pipeline.Type { return t.Elem })
		}
	case pipeline.Object:
		if v, ok := v.(map[string]any); ok {
			return typedObject(v, t, by)
		}
	}
	return nil, fmt.Errorf(" is %s, and a %s was declared", describe(v), t)
}

// untyped returns a value of any type: its numbers must be such as can be held, too.
func untyped(v any, by quantity.Scale) (any, error) {
	t := &pipeline.Type{Kind: pipeline.Any}
	switch v := v.(type) {
	case json.Number:
		return number(v, by)
	case []any:
		return typedList(v, t, by)
	case map[string]any:
		return typedMap(v, by, func(string) *pipeline.Type { return t })
	}
	return v, nil
}

func typedList(v []any, elem *pipeline.Type, by quantity.Scale) (any, error) {
	all := make([]any, len(v))
	for i := range v {
		var err error
		if all[i], err = typed(v[i], elem, by); err != nil {
			return nil, fmt.Errorf("[%d]%w", i, err)
		}
	}
	return all, nil
}

func typedMap(v map[string]any, by quantity.Scale, of func(name string) *pipeline.Type) (any, error) {
	all := make(map[string]any, len(v))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		var err error
		if all[name], err = typed(v[name], of(name), by); err != nil {
			return nil, fmt.Errorf(".%s%w", name, err)
		}
	}
	return all, nil
}

func typedObject(v map[string]any, t *pipeline.Type, by quantity.Scale) (any, error) {
	declared := make(map[string]any, len(t.Fields)) // others are not asked for
	for _, f := range t.Fields {
		value, ok := v[f.Name]
		if !ok {
			return nil, fmt.Errorf(" lacks %q%s", f.Name, keysOf(v))
		}
		declared[f.Name] = value
	}
	return typedMap(declared, by, func(name string) *pipeline.Type { return t.Field(name).Type })
}

// mostDigits bounds how a number is written: a float64 in full has 1,077 digits.
const mostDigits = 1100

// number returns a number times a scale, as exactly as a float64 is: 12.5 ms are the number
// 0.0125. An integer that a float64 does not hold is an error.
func number(v json.Number, by quantity.Scale) (any, error) {
	text := v.String()
	if len(text) > mostDigits {
		return nil, fmt.Errorf(" is %.20s…, a number of more than %d digits: declare a string, and write one", text, mostDigits)
	}
	scaled, err := by.Times(text)
	if errors.Is(err, quantity.ErrExponent) {
		return nil, fmt.Errorf(" is %s, which is beyond what can be held", text)
	} else if err != nil {
		return nil, fmt.Errorf(" is %s, which is no number", text)
	}
	f, err := strconv.ParseFloat(scaled, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf(" is %s, which is beyond what can be held", text)
	}
	if whole, ok := new(big.Int).SetString(text, 10); ok && by == quantity.One {
		if exact := new(big.Float).SetInt(whole); new(big.Float).SetFloat64(f).Cmp(exact) != 0 {
			return nil, fmt.Errorf(" is %s, which is too large to be held exactly: declare a string, and write one", text)
		}
	}
	if f == 0 {
		f = 0 // not the negative one
	}
	return f, nil
}
