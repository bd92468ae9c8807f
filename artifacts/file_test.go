package artifacts

import (
	"encoding/json"
	"fmt"
	"testing"
)

// A handle in JSON is its digest, size and kind, and nothing else.
func FuzzFile(f *testing.F) {
	f.Add(fmt.Sprintf(`{"$object":"%s","size":3,"tree":true}`, Sum(nil)))
	f.Add(`{"$object":"ab"}`)
	f.Fuzz(func(t *testing.T, s string) {
		var h, again File
		if json.Unmarshal([]byte(s), &h) != nil {
			return
		}
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &again); err != nil || again != h {
			t.Fatalf("%+v, then %+v, %v", h, again, err)
		}
	})
}
