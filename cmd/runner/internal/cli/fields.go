package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

// fieldWriter writes what each field of a stage is, and below what is in it,
// under dotted names: "limit.latency", "front[].accuracy".
type fieldWriter struct {
	w         io.Writer
	width     int // of the lines, in columns
	style     view.Style
	full      bool              // describe everything, also again
	config    bool              // the fields are attributes, not outputs
	described map[string]string // by an object's signature: "attribute platform", where it is described
	short     bool              // something was left out
}

// deepest is how many names a field's dotted name has at most, unless in full.
const deepest = 3

func (f *fieldWriter) write(fields []pipeline.Field, prefix string) {
	for i := range fields {
		field := &fields[i]
		inner, name := within(field.Type, prefix+field.Name)
		text, more := fieldText(field, f.config), false
		if inner.Kind == pipeline.Object {
			var note string
			if note, more = f.describe(inner, name); note != "" {
				text += "; " + note
			}
		}
		f.line(prefix, field, text)
		if more {
			f.write(inner.Fields, name+".")
		}
	}
}

// line writes what a field is and means: on one line where it is a part of
// another and fits.
func (f *fieldWriter) line(prefix string, field *pipeline.Field, text string) {
	name, doc := prefix+field.Name, strings.Join(strings.Fields(field.Doc), " ")
	if prefix != "" && doc != "" && utf8.RuneCountInString(name+text+doc)+8 <= f.width {
		text, doc = text+"  # "+doc, ""
	}
	say(f.w, "  %s  %s", f.style.Bold(name), text)
	if doc != "" {
		say(f.w, "%s", wrap(doc, "      ", f.width))
	}
}

// describe reports whether an object's fields are to be listed below it, and
// otherwise what stands for them.
func (f *fieldWriter) describe(object *pipeline.Type, name string) (note string, list bool) {
	if f.full {
		return "", true
	}
	key := signature(object)
	if at, ok := f.described[key]; ok {
		return "like " + at, false
	}
	if strings.Count(name, ".")+1 >= deepest {
		f.short = true
		_, names, _ := strings.Cut(object.String(), " ")
		return names, false
	}
	if f.described[key] = "output " + name; f.config {
		f.described[key] = "attribute " + name
	}
	return "", true
}

// within returns what the lists and maps of a type hold in the end, and under
// which name its parts are described: "front[]".
func within(t *pipeline.Type, name string) (*pipeline.Type, string) {
	for t.Kind == pipeline.List || t.Kind == pipeline.Map {
		t, name = t.Elem, name+"[]"
	}
	return t, name
}

// signature is equal for objects with the same fields.
func signature(t *pipeline.Type) string {
	var b strings.Builder
	for i := range t.Fields {
		f := &t.Fields[i]
		fmt.Fprintf(&b, "%s %s %q\n", f.Name, fieldText(f, false), f.Doc)
		if inner, _ := within(f.Type, ""); inner.Kind == pipeline.Object {
			b.WriteString("{" + signature(inner) + "}")
		}
	}
	return b.String()
}

// fieldText words what a field can hold: "number (s), from 0 to 1, default 0.5".
func fieldText(f *pipeline.Field, config bool) string {
	text := typeText(f.Type)
	switch {
	case f.Is == "dir":
		text = strings.Replace(text, "file", "directory", 1)
	case f.Is == "" && config:
		text = strings.Replace(text, "file", "file or directory", 1)
	}
	if f.Unit != "" {
		text += " in " + f.Unit
	}
	if len(f.OneOf) > 0 {
		quoted := make([]string, len(f.OneOf))
		for i, s := range f.OneOf {
			quoted[i] = strconv.Quote(s)
		}
		text += ": " + strings.Join(quoted, ", ")
	}
	switch {
	case f.Min != nil && f.Max != nil:
		text += fmt.Sprintf(", from %g to %g", *f.Min, *f.Max)
	case f.Min != nil:
		text += fmt.Sprintf(", at least %g", *f.Min)
	case f.Max != nil:
		text += fmt.Sprintf(", at most %g", *f.Max)
	}
	if f.Kind != "" {
		text += ", " + string(f.Kind)
	}
	if !config {
		return text
	}
	switch {
	case f.Required:
		text += ", required"
	case f.Default != nil:
		text += ", default " + defaultText(f.Default)
	default:
		text += ", optional"
	}
	if !f.Key {
		text += "; does not change the result"
	}
	return text
}

// typeText names a type; an object's fields are listed below it.
func typeText(t *pipeline.Type) string {
	text := t.String()
	if i := strings.Index(text, " {"); i >= 0 {
		text = text[:i]
	}
	if t.Nullable {
		text += " or null"
	}
	return text
}

func defaultText(v any) string {
	const width = 60 // columns
	tree, err := jsonTree(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return brief(tree, width)
}
