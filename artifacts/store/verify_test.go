package store

import (
	"path/filepath"
	"testing"
)

// A store in which runs commit is whole all the time: what they add while it is listed is
// neither damaged nor missing.
func TestVerifyBesideRuns(t *testing.T) {
	t.Parallel()
	d := openDir(t, filepath.Join(t.TempDir(), "store"))
	done := make(chan error, 1)
	go func() {
		for i := range 60 {
			if err := commit(d, i, func() {}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		flaws, _, err := d.Verify(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range flaws {
			t.Fatalf("%s %s, of %v", f.Path, f.Problem, f.Actions)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}
