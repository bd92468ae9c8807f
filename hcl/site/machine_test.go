package site_test

import (
	"maps"
	"strings"
	"testing"
)

// What is written of this machine is what is read.
func TestMachine(t *testing.T) {
	s, mistakes := load(t, `
machine {
  jobs      = 4
  resources = { gpus = 2, board = 1, memory = "32 GiB" }
}
`)
	want := map[string]float64{"gpus": 2, "board": 1, "memory": 32 << 30}
	if len(mistakes) > 0 || s.Machine.Jobs != 4 || !maps.Equal(s.Machine.Resources, want) {
		t.Errorf("%+v, %q", s.Machine, mistakes)
	}
	for text, want := range map[string]string{
		`machine "here" {}`:                        "Such a block has 0 labels: machine { … }",
		`machine { job = 4 }`:                      `machine has no attribute "job". Did you mean "jobs"?`,
		`machine { jobs = 0 }`:                     "whole number from 1",
		`machine { resources = { gpus = "two" } }`: "such as { gpus = 1 }",
		`machine { resources = { gpus = 5000 } }`:  "at most 4096 GPUs",
		"machine {}\nmachine {}":                   "another machine block at ",
		`machin {}`:                                `Did you mean "machine"?`,
	} {
		if _, mistakes := load(t, text); len(mistakes) != 1 || !strings.Contains(mistakes[0], want) {
			t.Errorf("%s\nwant %q, got %q", text, want, mistakes)
		}
	}
}
