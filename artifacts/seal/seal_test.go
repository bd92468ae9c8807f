package seal

import (
	"bytes"
	"testing"
)

// Only what Wrap returned is opened.
func FuzzSeal(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add(Wrap("kind", []byte(`1`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if body, err := Open("kind", b); err == nil && !bytes.Equal(Wrap("kind", body), b) {
			t.Fatalf("opened %q of %q", body, b)
		}
		if body, err := Open("kind", Wrap("kind", b)); err != nil || !bytes.Equal(body, b) {
			t.Fatalf("%q, then %q, %v", b, body, err)
		}
		if _, err := Open("other", Wrap("kind", b)); err == nil {
			t.Fatal("opened as another kind")
		}
	})
}
