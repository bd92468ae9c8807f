package hcl_test

import (
	"reflect"
	"strings"
	"testing"

	"eyrie/hcl"
)

// What is written twice is evaluated for both: with the outputs that there are, and with the
// place of each.
func TestTwins(t *testing.T) {
	r := load(t, `
stage "table" "a" {}
stage "table" "b" {
  any = { text = stage.a.text, twice = [stage.a.text] }
}
stage "table" "c" {

  any = { text = stage.a.text, twice = [stage.a.text] }
}`, hcl.Options{})
	for _, text := range []string{"", "one", "two"} {
		known := outputs{}
		if text != "" {
			known["a"] = `{"rows":[],"text":"` + text + `"}`
		}
		for _, id := range []string{"b", "c"} {
			attrs, err := step(t, r, id).Attrs(known.known())
			if err != nil {
				t.Fatal(err)
			}
			a := attrs.Of("any")
			line := map[string]string{"b": ":4", "c": ":8"}[id]
			if !strings.HasSuffix(a.Pos, line) {
				t.Errorf("%s is at %s, want line %s", id, a.Pos, line)
			}
			if waits := len(a.Unknown) > 0; waits != (text == "") {
				t.Errorf("%s waits for %q while the output is %q", id, a.Unknown, text)
			}
			if text == "" {
				continue
			}
			if want := map[string]any{"text": text, "twice": []any{text}}; !reflect.DeepEqual(a.Value, want) {
				t.Errorf("%s: %v, want %v", id, a.Value, want)
			}
			a.Value.(map[string]any)["twice"].([]any)[0] = "changed" // which is the caller's
		}
	}
}

// A mistake that is written twice is reported twice.
func TestTwinsWithMistakes(t *testing.T) {
	_, diags := loadText(t, `
stage "table" "b" {
  any = 1 / 0
}
stage "table" "c" {
  any = 1 / 0
}`, hcl.Options{})
	if len(diags.All()) != 2 {
		t.Errorf("got %v", diags)
	}
}
