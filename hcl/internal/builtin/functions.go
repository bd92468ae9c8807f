// Package builtin has the functions that a recipe's expressions may call.
package builtin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/source"
)

// Doc documents a function that expressions may call.
type Doc struct {
	Name  string `json:"name"`
	Usage string `json:"usage"` // "round(number, digits)"
	Doc   string `json:"doc"`   // one sentence
	Group string `json:"group"`
}

// named is a function with its documentation.
type named struct {
	group, name, doc string
	function.Function
}

// table lists all functions of the language.
//
// None of them looks at the clock, at chance, at the environment or at the
// network: the same recipe beside the same files means the same computation
// tomorrow and on another machine. What differs from machine to machine is
// given as a variable, and is seen in the key.
var table = []named{
	{"numbers", "abs", "The absolute value.", stdlib.AbsoluteFunc},
	{"numbers", "ceil", "The least integer that is not less.", stdlib.CeilFunc},
	{"numbers", "floor", "The greatest integer that is not greater.", stdlib.FloorFunc},
	{"numbers", "log", "The logarithm of a number to a base.", logFunc},
	{"numbers", "max", "The greatest of the numbers; of a list: max(list...).", stdlib.MaxFunc},
	{"numbers", "mean", "The mean of a list of numbers.", meanFunc},
	{"numbers", "min", "The least of the numbers; of a list: min(list...).", stdlib.MinFunc},
	{"numbers", "parseint", "The integer that a string holds in a base.", stdlib.ParseIntFunc},
	{"numbers", "pow", "A number raised to a power.", powFunc},
	{"numbers", "signum", "-1, 0 or 1 as the number is negative, zero or positive.", stdlib.SignumFunc},
	{"numbers", "stddev", "The sample standard deviation (n − 1) of a list of two numbers or more.", stddevFunc},
	{"numbers", "sum", "The sum of a list of numbers; 0 when it is empty.", sumFunc},

	{"collections", "chunklist", "A list cut into lists of a length.", stdlib.ChunklistFunc},
	{"collections", "coalesce", "The first argument that is not null.", stdlib.CoalesceFunc},
	{"collections", "coalescelist", "The first list that is not empty.", stdlib.CoalesceListFunc},
	{"collections", "compact", "A list of strings without the empty ones.", stdlib.CompactFunc},
	{"collections", "concat", "Lists, one after the other.", stdlib.ConcatFunc},
	{"collections", "contains", "Whether a list or set has an element.", containsFunc},
	{"collections", "distinct", "A list without repeats.", distinctFunc},
	{"collections", "element", "The element at an index, which wraps around.", stdlib.ElementFunc},
	{"collections", "flatten", "A list with the lists in it replaced by their elements.", stdlib.FlattenFunc},
	{"collections", "index", "Where in a list a value is first, counted from 0.", indexFunc},
	{"collections", "keys", "The keys of a map, sorted.", stdlib.KeysFunc},
	{"collections", "length", "How many elements a list, map or object has, or characters a string.", lengthFunc},
	{"collections", "lookup", "A map's value at a key, or a default.", stdlib.LookupFunc},
	{"collections", "merge", "Maps in one; later ones override.", stdlib.MergeFunc},
	{"collections", "range", "Numbers from a start (0) up to an end, which is left out, by a step (1).", rangeFunc},
	{"collections", "reverse", "A list in reverse.", stdlib.ReverseListFunc},
	{"collections", "setintersection", "What all sets have.", stdlib.SetIntersectionFunc},
	{"collections", "setproduct", "All combinations of the elements of lists or sets.", stdlib.SetProductFunc},
	{"collections", "setsubtract", "What the first set has and the second has not.", stdlib.SetSubtractFunc},
	{"collections", "setunion", "What any of the sets has.", stdlib.SetUnionFunc},
	{"collections", "slice", "A list's elements from a start up to an end, which is left out.", stdlib.SliceFunc},
	{"collections", "sort", "A list of strings, sorted.", stdlib.SortFunc},
	{"collections", "values", "The values of a map, in the order of its keys.", stdlib.ValuesFunc},
	{"collections", "zipmap", "A map of a list of keys and a list of values.", stdlib.ZipmapFunc},

	{"strings", "chomp", "A string without the line ends at its end.", stdlib.ChompFunc},
	{"strings", "format", "Values in a string, as in printf: format(\"%.1f ms\", 87).", stdlib.FormatFunc},
	{"strings", "formatlist", "A list of strings, formatted from lists of values.", stdlib.FormatListFunc},
	{"strings", "indent", "A string with its lines but the first indented.", stdlib.IndentFunc},
	{"strings", "join", "Strings in one, with a separator between.", stdlib.JoinFunc},
	{"strings", "lower", "A string in lower case.", stdlib.LowerFunc},
	{"strings", "regex", "What a regular expression (RE2) matches in a string.", stdlib.RegexFunc},
	{"strings", "regexall", "All that a regular expression matches in a string.", stdlib.RegexAllFunc},
	{"strings", "regexreplace", "A string with what a regular expression matches replaced.", stdlib.RegexReplaceFunc},
	{"strings", "replace", "A string with a part replaced wherever it occurs.", stdlib.ReplaceFunc},
	{"strings", "split", "The parts of a string between separators.", stdlib.SplitFunc},
	{"strings", "strrev", "A string in reverse.", stdlib.ReverseFunc},
	{"strings", "substr", "A part of a string, by offset and length.", stdlib.SubstrFunc},
	{"strings", "title", "A string with each word's first letter in upper case.", stdlib.TitleFunc},
	{"strings", "trim", "A string without the given characters at its ends.", stdlib.TrimFunc},
	{"strings", "trimprefix", "A string without a prefix.", stdlib.TrimPrefixFunc},
	{"strings", "trimspace", "A string without space at its ends.", stdlib.TrimSpaceFunc},
	{"strings", "trimsuffix", "A string without a suffix.", stdlib.TrimSuffixFunc},
	{"strings", "upper", "A string in upper case.", stdlib.UpperFunc},

	{"encoding", "csvdecode", "The rows of CSV text with a header line, as objects of strings.", csvdecodeFunc},
	{"encoding", "jsondecode", "The value that JSON text holds.", stdlib.JSONDecodeFunc},
	{"encoding", "jsonencode", "A value as JSON text.", stdlib.JSONEncodeFunc},

	{"types", "tobool", "A value as a bool.", toFunc(cty.Bool)},
	{"types", "tolist", "A value as a list.", toFunc(cty.List(cty.DynamicPseudoType))},
	{"types", "tomap", "A value as a map.", toFunc(cty.Map(cty.DynamicPseudoType))},
	{"types", "tonumber", "A value as a number.", toFunc(cty.Number)},
	{"types", "toset", "A value as a set.", toFunc(cty.Set(cty.DynamicPseudoType))},
	{"types", "tostring", "A value as a string.", toFunc(cty.String)},

	{"provenance", "measured", "A value with the source that says it was measured.", originFunc("measured")},
	{"provenance", "published", "A value with the source that it was printed in: published(87.0, \"table 3\").", originFunc("published")},
}

// fileFunctions depend on the recipe's directory.
func fileFunctions(dir source.Directory) []named {
	f := newFiles(dir)
	return []named{
		{"files", "file", "The text of a file of up to 64 MiB; relative paths start from the recipe's directory.", f.fileFunc()},
		{"files", "fileexists", "Whether there is a file; relative paths start from the recipe's directory.", f.existsFunc()},
	}
}

// all returns all functions, as they are documented.
func all(dir source.Directory, meter *budget.Meter) []named {
	return slices.Concat(table, attempts(meter), fileFunctions(dir))
}

// Functions returns what may be called in a recipe in dir. What calls take is counted by
// the meter.
func Functions(dir source.Directory, meter *budget.Meter) map[string]function.Function {
	functions := make(map[string]function.Function, len(table)+4)
	for _, f := range all(dir, meter) {
		functions[f.name] = f.guarded(meter)
	}
	return functions
}

// Docs documents all functions, by group.
func Docs() []Doc {
	functions := all(source.Directory{}, nil)
	slices.SortStableFunc(functions, func(a, b named) int { return cmp.Compare(place(a.group), place(b.group)) })
	docs := make([]Doc, len(functions))
	for i, f := range functions {
		docs[i] = Doc{Name: f.name, Usage: f.usage(), Doc: f.doc, Group: f.group}
	}
	return docs
}

// place is where a group stands among them.
func place(group string) int {
	if i := slices.IndexFunc(table, func(f named) bool { return f.group == group }); i >= 0 {
		return i
	}
	return len(table)
}

func (f named) usage() string {
	var params []string
	for _, p := range f.Params() {
		params = append(params, p.Name)
	}
	if p := f.VarParam(); p != nil {
		params = append(params, p.Name+"...")
	}
	return f.name + "(" + strings.Join(params, ", ") + ")"
}
