package pipeline

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A path into a row finds the value with the origins of that part alone.
func TestRowLookup(t *testing.T) {
	measured, given := Origin{Kind: Measured, At: "best.top1"}, Origin{Kind: Given, At: "best.top10"}
	row := Row{
		"a.b": {Value: 1.0},
		"net": {Value: map[string]any{"best": map[string]any{"top1": 0.9, "top10": 1.0}, "none": nil}, Origins: []Origin{measured, given, {Step: "all"}}},
	}
	measured.At = ""
	for key, want := range map[string]Traced{
		"a.b":           {Value: 1.0},
		"net.best.top1": {Value: 0.9, Origins: []Origin{measured, {Step: "all"}}},
	} {
		if got, found, err := row.Lookup(key); !found || err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, %v; want %+v", key, got, found, err, want)
		}
	}
	for _, key := range []string{"x", "net.x", "net.none.x", "net.best.x"} {
		if v, found, err := row.Lookup(key); found || err != nil {
			t.Errorf("%s: %+v, %v, %v; want nothing", key, v, found, err)
		}
	}
	if _, _, err := row.Lookup("net.best.top1.x"); err == nil || !strings.Contains(err.Error(), `"net.best.top1" is the number 0.9, not an object that could hold "x"`) {
		t.Errorf("a path into a number: %v", err)
	}
}

// Numbers of the recipe do not hide, nor stand beside, what was measured or
// modelled with them.
func TestKinds(t *testing.T) {
	for want, origins := range map[string][]Origin{
		"":                   {{Step: "s"}},
		"given":              {{Kind: Given}, {Step: "s"}},
		"measured,published": {{Kind: Published}, {Kind: Given}, {Kind: Measured}},
	} {
		var got []string
		for _, k := range Kinds(origins) {
			got = append(got, string(k))
		}
		if !slices.Equal(got, strings.FieldsFunc(want, func(r rune) bool { return r == ',' })) {
			t.Errorf("%v: %v, want %s", origins, got, want)
		}
	}
}
