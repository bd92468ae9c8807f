package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/store/storetest"
	"eyrie/pipeline/mistake"
)

type limits struct {
	Latency float64  `json:"latency,omitempty" unit:"s" min:"0" doc:"at most"`
	Memory  *float64 `json:"memory"`
}

type base struct {
	Seed int `json:"seed,omitempty" doc:"of the random numbers"`
}

type schemaConfig struct {
	base
	Name    string             `json:"name" oneof:"a,b"`
	Steps   int                `json:"steps" min:"1" max:"9"`
	Limit   limits             `json:"limit"`
	Widths  []float64          `json:"widths"`
	Named   map[string]float64 `json:"named,omitempty"`
	Data    artifacts.File     `json:"data"`
	Rows    []Traced           `json:"rows,omitempty"`
	Threads int                `json:"threads,omitempty" key:"-"`
}

func (c *schemaConfig) Check(r *mistake.Report) {
	if r.Knows("limit") && c.Limit.Latency > 1 {
		r.At("limit", "latency").Badf("%g s is too long: write at most 1 s", c.Limit.Latency)
	}
	if r.Knows("name") && c.Name == "b" && r.Written("named") && r.Absent("rows") {
		r.At("named").Badf("names no rows")
	}
}

type schemaOutput struct {
	Inner struct {
		Top1    float64 `json:"top1"`
		Latency float64 `json:"latency" provenance:"modelled"`
	} `json:"inner" provenance:"measured"`
}

var schemaStage = Define("schema", 3, "Shows a schema.", schemaConfig{
	Steps: 4, Limit: limits{Latency: 0.5}, Widths: []float64{1, 2, 3}, Named: map[string]float64{"old": 1},
}, func(context.Context, *Task, schemaConfig) (schemaOutput, error) { return schemaOutput{}, nil })

// The schema, with defaults and limits, is what the struct says.
func TestDefineDerivesTheSchema(t *testing.T) {
	var got []string
	for _, f := range schemaStage.Config.Fields {
		s := f.Name + " " + f.Type.String()
		if f.Required {
			s += " required"
		}
		if f.Default != nil {
			s += fmt.Sprintf(" =%v", f.Default)
		}
		if !f.Key {
			s += " nokey"
		}
		got = append(got, s)
	}
	want := []string{
		"seed integer", "name string required", "steps integer =4", "limit object {latency, memory} ={0.5 <nil>}",
		"widths list of number =[1 2 3]", "named map of number =map[old:1]", "data file required", "rows list of any", "threads integer nokey",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	limit := schemaStage.Config.Field("limit").Type
	if l := limit.Field("latency"); l.Unit != "s" || *l.Min != 0 || l.Default != 0.5 || l.Doc != "at most" {
		t.Errorf("latency: %+v", l)
	}
	if !limit.Field("memory").Type.Nullable {
		t.Error("a pointer is not nullable")
	}
}

// A field's provenance holds for what is inside it, unless that says otherwise.
func TestProvenanceIsInherited(t *testing.T) {
	inner := schemaStage.Output.Field("inner")
	if got := inner.Type.Field("top1").Kind; got != Measured {
		t.Errorf("top1 is %q, want measured", got)
	}
	if got := inner.Type.Field("latency").Kind; got != Modelled {
		t.Errorf("latency is %q, want modelled", got)
	}
}

// What cannot be a schema is the stage author's mistake, and says where it is.
func TestDefineRefusesDefaultsAndTags(t *testing.T) {
	tests := map[string]func(){
		"x.f: a func() cannot be": func() {
			define[struct {
				F func() `json:"f"`
			}]("x")
		},
		"x.F has no json name": func() { define[struct{ F int }]("x") },
		`"when" belongs to every stage`: func() {
			define[struct {
				W bool `json:"when"`
			}]("x")
		},
		`min:"low" is not a number`: func() {
			define[struct {
				W int `json:"w" min:"low"`
			}]("x")
		},
		`is:"folder", want file or dir`: func() {
			define[struct {
				F artifacts.File `json:"f" is:"folder"`
			}]("x")
		},
		"must be structs": func() { define[int]("x") },
	}
	for want, f := range tests {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want one with %q", got, want)
				}
			}()
			f()
		})
	}
}

func define[C any](name string) {
	var c C
	Define(name, 1, "", c, func(context.Context, *Task, C) (struct{}, error) { return struct{}{}, nil })
}

// Written objects are merged with their defaults; lists and maps replace theirs.
func TestDecodeLaysAttributesOverDefaults(t *testing.T) {
	c, err := schemaStage.Decode(map[string]any{
		"name": "a", "data": artifacts.File{}, "limit": map[string]any{"memory": 5.0}, "widths": []any{9.0}, "named": map[string]any{"new": 2.0},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := c.(schemaConfig)
	memory := 5.0
	want := schemaConfig{Name: "a", Steps: 4, Limit: limits{0.5, &memory}, Widths: []float64{9}, Named: map[string]float64{"new": 2}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	again, _ := schemaStage.Decode(map[string]any{"name": "a", "data": artifacts.File{}})
	if !reflect.DeepEqual(again.(schemaConfig).Widths, []float64{1, 2, 3}) {
		t.Error("decoding changed the defaults")
	}
}

// All mistakes of a value are told at once, each at its path: those of kind, of
// limits and choices, of names, and those that the stage itself finds.
func TestDecodeNamesEveryMistake(t *testing.T) {
	for _, test := range []struct {
		values map[string]any
		want   string
	}{
		{map[string]any{"name": "a", "data": artifacts.File{}, "limit": map[string]any{"latency": 2.0}}, "limit.latency: 2 s is too long: write at most 1 s"},
		{map[string]any{"name": "a", "data": artifacts.File{}, "steps": 1.5}, "steps: takes an integer, not the number 1.5"},
		{map[string]any{"name": "a", "data": artifacts.File{}, "steps": 10}, "steps: must be between 1 and 9, not 10"},
		{
			map[string]any{"name": "c", "steps": 0.0, "limit": map[string]any{"latency": -1.0, "power": 3.0}, "widths": []any{1.0, "wide"}, "seeds": 1.0, "rows": true},
			`limit.latency: must be at least 0, not -1
limit.power: there is no such attribute
name: "c" is not one of "a" and "b"
rows: takes a list of any, not a bool
seeds: there is no such attribute
steps: must be between 1 and 9, not 0
widths[1]: takes a number, not a string
data: is missing: it takes a file`,
		},
		{map[string]any{"name": "a", "data": artifacts.File{}, "widths": []any{nil, 5.0}}, "widths[0]: takes a number, not null"},
		{map[string]any{"name": "a", "data": artifacts.File{}, "named": map[string]any{"x": nil}}, "named.x: takes a number, not null"},
		{map[string]any{"name": "a", "data": artifacts.File{}, "limit": map[string]any{"latency": math.NaN()}, "steps": 0}, "limit.latency: takes a number, not NaN\nsteps: must be between 1 and 9, not 0"},
		{map[string]any{"name": "b", "steps": 11.0, "named": map[string]any{"x": 1.0}, "data": artifacts.File{}}, "steps: must be between 1 and 9, not 11\nnamed: names no rows"},
	} {
		_, err := schemaStage.Decode(test.values)
		var list mistake.List
		if !errors.As(err, &list) || err.Error() != test.want {
			t.Errorf("got\n%v, want\n%s", err, test.want)
		}
	}
}

// preset decodes only known names, as a vocabulary's type may.
type preset struct {
	Name string `json:"name,omitempty"`
}

func (p *preset) UnmarshalJSON(b []byte) error {
	type plain preset
	if err := json.Unmarshal(b, (*plain)(p)); err != nil || p.Name == "known" {
		return err
	}
	return fmt.Errorf("there is no %q", p.Name)
}

// What a type refuses to decode is told by its attribute, too.
func TestDecodeNamesWhatATypeRefuses(t *testing.T) {
	type config struct {
		Chip  preset `json:"chip"`
		Other preset `json:"other"`
		Size  int    `json:"size"`
	}
	s := Define("refuses", 1, "", config{preset{"known"}, preset{"known"}, 1},
		func(context.Context, *Task, config) (struct{}, error) { return struct{}{}, nil })
	_, err := s.Decode(map[string]any{"chip": map[string]any{"name": "known"}, "other": map[string]any{"name": "none"}, "size": 2.0})
	if err == nil || err.Error() != `other: there is no "none"` {
		t.Errorf("got %v", err)
	}
	_, err = s.Decode(map[string]any{"chip": map[string]any{"name": "all"}, "other": map[string]any{"name": "none"}, "size": 2.0})
	if err == nil || err.Error() != "chip: there is no \"all\"\nother: there is no \"none\"" {
		t.Errorf("got %v", err)
	}
}

// What does not depend on unknown parts is checked before they are known.
func TestCheckWhatIsKnown(t *testing.T) {
	for _, test := range []struct {
		values  map[string]any
		unknown string
		want    string
	}{
		{map[string]any{"name": "b", "named": map[string]any{"x": 1.0}}, "data", "named: names no rows"},
		{map[string]any{"name": "b", "data": artifacts.File{}}, "named", "named: names no rows"},
		{map[string]any{"name": "b", "named": map[string]any{"x": 1.0}, "data": artifacts.File{}}, "rows", ""},
		{map[string]any{"named": map[string]any{"x": 1.0}, "data": artifacts.File{}, "name": nil}, "name", ""},
		{map[string]any{"name": "a", "data": nil, "limit": map[string]any{"latency": 3.0}}, "data", "limit.latency: 3 s is too long: write at most 1 s"},
		{map[string]any{"name": "a", "data": artifacts.File{}, "limit": map[string]any{"latency": nil}}, "limit.latency", ""},
		{map[string]any{"name": "a", "data": artifacts.File{}, "widths": []any{nil, "x"}}, "widths[0]", "widths[1]: takes a number, not a string"},
	} {
		got := ""
		if err := schemaStage.Check(test.values, []mistake.Path{mistake.Parse(test.unknown)}); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%v, not known %v: got %q, want %q", test.values, test.unknown, got, test.want)
		}
	}
}

// What may turn out to be null is neither written nor left out.
func TestCheckOfWhatMayBeNull(t *testing.T) {
	values := map[string]any{"name": "b", "data": artifacts.File{}, "named": nil}
	unknown := []mistake.Path{mistake.Parse("named")}
	if err := schemaStage.Check(values, unknown, "named"); err != nil {
		t.Errorf("it may be null: %v", err)
	}
	if err := schemaStage.Check(values, unknown); err == nil {
		t.Error("it is written: no mistake")
	}
}

// Defaults beyond their limits, and unknown tags, are the author's mistakes.
func TestDefineRefuses(t *testing.T) {
	type config struct {
		N     int    `json:"n" min:"1"`
		S     string `json:"s,omitempty" oneof:"a,b"`
		Inner struct {
			M int `json:"m" min:"1"`
		} `json:"inner"`
	}
	deep := config{N: 1}
	deep.Inner.M = -5
	type misspelt struct {
		N int `json:"n" mim:"1"`
	}
	run := func(context.Context, *Task, config) (struct{}, error) { return struct{}{}, nil }
	for want, define := range map[string]func(){
		"default of n: must be at least 1, not -1":       func() { Define("x", 1, "", config{N: -1}, run) },
		"default of inner.m: must be at least 1, not -5": func() { Define("x", 1, "", deep, run) },
		`default of s: "c" is not one of "a" and "b"`:    func() { Define("x", 1, "", config{N: 1, S: "c"}, run) },
		`x.n: there is no tag "mim"`: func() {
			Define("x", 1, "", misspelt{}, func(context.Context, *Task, misspelt) (struct{}, error) { return struct{}{}, nil })
		},
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), want) {
					t.Errorf("got %v, want %s", r, want)
				}
			}()
			define()
		}()
	}
}

// The preimage is what records and their reasons are made of. If this golden
// changes, every cached result is lost: bump formatVersion and say so.
func TestPreimageIsCanonical(t *testing.T) {
	c, err := schemaStage.Decode(map[string]any{
		"seed": 7.0, "name": "a", "named": map[string]any{"a<b": 1.0}, "threads": 5.0,
		"data": artifacts.File{Path: "/here", Digest: artifacts.Sum(nil), Size: 1},
		"rows": []any{Traced{Value: 0.1, Origins: []Origin{{Kind: Measured, Step: "s", Output: "top1"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := schemaStage.preimage(c, map[string]bool{"seed": true})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"format":1,"stage":"schema","version":3,"attributes":{` +
		`"data":{"$object":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":1},` +
		`"limit":{"latency":0.5,"memory":null},"name":"a","named":{"a<b":1},` +
		`"rows":[{"origins":[{"kind":"measured","output":"top1","step":"s"}],"value":0.1}],` +
		`"seed":{"$sensitive":"7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451"},` +
		`"steps":4,"widths":[1,2,3]}}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// An error about a sensitive value, or of a step with one, quotes nothing.
func TestErrorsHideSensitiveValues(t *testing.T) {
	s := &Step{ID: "a", Stage: schemaStage, Pos: "r.hcl:1"}
	attrs := Attrs{"name": {Value: "a"}, "data": {Value: artifacts.File{}}, "limit": {Value: map[string]any{"latency": 1234.5}, Sensitive: true, Pos: "r.hcl:2"}}
	_, err := newAction(t.Context(), newObservations(storetest.New(t)), s, attrs)
	if err == nil || strings.Contains(err.Error(), "1234") || !strings.HasPrefix(err.Error(), "r.hcl:2: step a: limit.latency: ") {
		t.Errorf("got %v", err)
	}
	// Nor does what the stage says while it runs, with an attribute or without, of one mistake or more.
	w := &worker{planned: &Planned{Step: s}, attrs: attrs}
	for _, said := range []error{
		errors.New("get http://host/?token=1234"), fmt.Errorf("reading: %w", Badf("limit", "1234")), Badf("name", "not beside 1234"),
		mistake.List{mistake.At("limit", "1234"), mistake.At("name", "1234")}, PanicError("1234", "stack"),
	} {
		if placed := w.place(said); strings.Contains(placed.Error(), "1234") || !strings.HasPrefix(placed.Error(), "r.hcl:") {
			t.Errorf("%v is told as %v", said, placed)
		}
	}
}
