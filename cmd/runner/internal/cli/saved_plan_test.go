package cli

import (
	"testing"

	"eyrie/artifacts/seal"
)

// Whatever a file holds, reading it as a plan ends, with a plan or an error.
func FuzzPlan(f *testing.F) {
	f.Add(seal.Wrap(planSeal, []byte(`{"recipe":"a","files":[],"salt":"AA==","variables":{},"steps":[{"step":"a","stage":"b","version":1,"verdict":"run","action":""}]}`)), true)
	f.Add([]byte(`{"recipe":"a"}`), false)
	f.Add([]byte(""), true)
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if !sealed {
			b = seal.Wrap(planSeal, b)
		}
		if p, err := parsePlan(b); (p == nil) == (err == nil) {
			t.Errorf("%v, %v", p, err)
		}
	})
}
