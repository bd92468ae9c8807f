package mistake

import "testing"

// A suggestion is what was probably meant, or nothing.
func TestNearest(t *testing.T) {
	stages := []string{"analyze", "calibrate", "dataset", "deploy-estimate", "evolve", "grid-search", "plot", "table", "train-supernet"}
	for _, test := range []struct {
		name  string
		among []string
		want  string
	}{
		{"deploy", stages, "deploy-estimate"},
		{"supernet", stages, "train-supernet"},
		{"tabel", stages, "table"},
		{"Table", stages, "table"},
		{"calibarte", stages, "calibrate"},
		{"nothing", stages, ""},
		{"clean", []string{"plan", "run", "show", "gc"}, ""},
		{"paln", []string{"plan", "run"}, "plan"},
		{"c", []string{"a", "b"}, ""},
		{"lacency", []string{"latency", "energy"}, "latency"},
		{"width", []string{"widths", "height"}, "widths"},
		{"plan", []string{"plan", "plain"}, ""},
		{"xy", []string{"ab"}, ""},
		{"", []string{"a"}, ""},
	} {
		if got := Nearest(test.name, test.among); got != test.want {
			t.Errorf("%q: %q, want %q", test.name, got, test.want)
		}
	}
}
