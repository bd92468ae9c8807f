package stepname_test

import (
	"testing"

	"eyrie/pipeline/stepname"
)

// A name stands for the steps that people mean by it, however they write it.
func TestMatch(t *testing.T) {
	for _, test := range []struct {
		name, id string
		want     bool
	}{
		{"train", "train", true},
		{"stage.train", "train", true},
		{"train", "trainer", false},
		{"train", `train["a"]`, true},
		{"train[a]", `train["a"]`, true},
		{`train["a"]`, `train["a"]`, true},
		{"train[b]", `train["a"]`, false},
		{"train[a/*]", `train["a/b"]`, true},
		{"train[a-c]", `train["b"]`, false}, // no class of letters
		{"t*", `train["a"]`, true},
		{"*n", `train["in"]`, true},
		{"trai?", "train", true},
		{"*", "module.net.train", true},
		{"train", "module.net.train", false},
		{"module.net.stage.train", "module.net.train", true},
		{"module.net", `module.net["a"].train`, true},
		{"module.net[a].train", `module.net["a"].train`, true},
		{"module.net[*].train", `module.net["a.b"].train["c"]`, true},
		{"module.other", "module.net.train", false},
		{"[", "train", false},
		{"\xff*", "train", false},
		{"", "train", false},
	} {
		if got := stepname.Match(test.name)(test.id); got != test.want {
			t.Errorf("%q stands for %s: %v", test.name, test.id, got)
		}
	}
}
