package exec

import (
	"maps"
	"slices"

	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
	"eyrie/pipeline/quantity"
)

// Output is one output that a step declares.
type Output struct {
	Type       string              `json:"type" doc:"number, string, bool, list(number), map(number), object({ a = number }) …, file or dir"`
	JSON       string              `json:"json,omitempty" doc:"of a value: the JSON file that the program writes it to"`
	At         string              `json:"at,omitempty" doc:"of a value: where it is in there, such as \"best.latency\" or \"runs[0]\"; without it, under the output's name"`
	Path       string              `json:"path,omitempty" doc:"of a file or dir: where the program writes it"`
	Unit       string              `json:"unit,omitempty" doc:"of numbers: what the program counts in, such as \"ms\" or \"MB\"; times arrive in s, sizes in bytes, and so on"`
	Provenance pipeline.Provenance `json:"provenance,omitempty" oneof:"measured,modelled,predicted,given" doc:"how numbers came about; without it, measured"`
	Doc        string              `json:"doc,omitempty" key:"-" doc:"what it means, for people"`
}

// isFile reports whether the output is a file or directory, rather than a value.
func (o Output) isFile() bool { return o.Type == "file" || o.Type == "dir" }

// kind is how the numbers in the output came about.
func (o Output) kind() pipeline.Provenance {
	if o.Provenance == "" {
		return pipeline.Measured
	}
	return o.Provenance
}

// Declared implements [pipeline.Declarer].
func (c Config) Declared() []pipeline.Field {
	var fields []pipeline.Field
	for _, name := range slices.Sorted(maps.Keys(c.Declare)) {
		fields = append(fields, c.Declare[name].field(name))
	}
	return fields
}

// field returns the output as a field of the step's output. The declaration was checked.
func (o Output) field(name string) pipeline.Field {
	f := pipeline.Field{Name: name, Doc: o.Doc, Required: true, Key: true}
	if o.isFile() {
		f.Type, f.Is = &pipeline.Type{Kind: pipeline.File}, o.Type
		return f
	}
	t, err := pipeline.ParseType(o.Type, o.kind())
	if err != nil {
		t = &pipeline.Type{Kind: pipeline.Any}
	}
	f.Type, f.Kind = t, o.kind()
	f.Unit, _ = scaleOf(o.Unit)
	return f
}

// checkDeclare reports mistakes in the declared outputs.
func (c Config) checkDeclare(r *mistake.Report) {
	for _, name := range slices.Sorted(maps.Keys(c.Declare)) {
		if at := r.At(name); at.Knows() {
			c.Declare[name].check(at)
		}
	}
	if len(c.Declare) == 0 && r.Knows() {
		r.Badf("declares no outputs: write output \"NAME\" { type = number, json = \"result.json\" }, or type = file and a path")
	}
}

func (o Output) check(r *mistake.Report) {
	if o.isFile() {
		o.checkFile(r)
		return
	}
	t, err := pipeline.ParseType(o.Type, o.kind())
	if err != nil {
		r.At("type").Add(err)
		return
	}
	switch {
	case o.Path != "":
		r.At("path").Badf("is for files: a %s is read from a JSON file, write json = %q", t, o.Path)
	case o.JSON == "":
		r.At("json").Badf("is missing: write the JSON file that the program writes the value to")
	case !isName(o.JSON):
		r.At("json").Badf("must be a relative path in the program's directory, not %q", o.JSON)
	}
	if _, err := parsePath(o.At); err != nil {
		r.At("at").Add(err)
	}
	if o.Unit != "" && !ofNumbers(t) {
		r.At("unit").Badf("is for a number, and lists and maps of numbers: a %s has none", t)
	}
}

func (o Output) checkFile(r *mistake.Report) {
	switch {
	case o.JSON != "":
		r.At("json").Badf("is for values: of a %s write path = %q", o.Type, o.JSON)
	case o.Path == "":
		r.At("path").Badf("is missing: write where the program writes it, relative to its directory")
	case !isName(o.Path):
		r.At("path").Badf("must be a relative path in the program's directory, not %q", o.Path)
	}
	for _, other := range []struct{ name, written string }{{"at", o.At}, {"unit", o.Unit}, {"provenance", string(o.Provenance)}} {
		if other.written != "" {
			r.At(other.name).Badf("is for values, and this is a %s", o.Type)
		}
	}
}

// ofNumbers reports whether a type is a number, or a list or map of such.
func ofNumbers(t *pipeline.Type) bool {
	for t.Elem != nil {
		t = t.Elem
	}
	return t.Kind == pipeline.Number
}

// units are what recipes count in.
var units = []string{"s", "bytes", "Hz", "J", "W", "cycles"}

// scaleOf returns the unit that recipes use for a quantity, and by what a number in the
// program's unit is multiplied. Units that recipes do not know are left as they are.
func scaleOf(unit string) (to string, by quantity.Scale) {
	for _, u := range units {
		if s, ok := quantity.Of(unit, u); ok {
			return u, s
		}
	}
	return unit, quantity.One
}
