package train

import (
	"crypto/sha256"
	"os"
	"testing"
)

// No file makes the parser of checkpoints panic.
func FuzzParseCheckpoint(f *testing.F) {
	dir := f.TempDir()
	if err := (store{dir}).save(checkpoint{Step: 7, state: []byte("state")}); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(store{dir}.latest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		if ck, err := parseCheckpoint(b); err == nil && (ck.Step != 7 || string(ck.state) != "state") {
			t.Errorf("%+v passed for whole", ck)
		}
		// The same, past the digest.
		sum := sha256.Sum256(b)
		parseCheckpoint(append(sum[:], b...))
	})
}
