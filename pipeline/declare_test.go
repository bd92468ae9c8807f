package pipeline

import (
	"fmt"
	"strings"
	"testing"
)

// Types are read as recipes write them, and what is none is told.
func TestParseType(t *testing.T) {
	for text, want := range map[string]string{
		"number":                      "number",
		" list( map(string) )":        "list of map of string",
		"object({a=number,b=bool})":   "object {a, b}",
		"object({ x = list(any), })":  "object {x}",
		"object({})":                  "object {}",
		"":                            `"" is not a type: there is no type ""`,
		"numbr":                       `there is no type "numbr"`,
		"set(string)":                 "JSON has no sets",
		"list":                        `"(" is expected, not ""`,
		"list(number":                 `")" is expected, not ""`,
		"number)":                     "nothing can follow number",
		"object({a=number b=number})": `a comma is expected, not "b"`,
		"object({a=number,a=bool})":   "a is there twice",
		"object({=number})":           `a name is expected, not "="`,
		strings.Repeat("list(", 40):   "nested more than 32 times",
	} {
		typ, err := ParseType(text, Measured)
		got := fmt.Sprint(typ, err)
		if err == nil {
			got = typ.String()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	typ, err := ParseType("list(object({ a = number }))", Predicted)
	if err != nil || typ.Elem.Field("a").Kind != Predicted {
		t.Errorf("%v, %+v", err, typ)
	}
}

// No text makes the reader of types fail otherwise than by an error.
func FuzzParseType(f *testing.F) {
	f.Add("object({ a = list(number), b = map(any) })")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = ParseType(text, Measured) })
}
