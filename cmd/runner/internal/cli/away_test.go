package cli

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Runners that begin at the same time call a new store by one name, by which each finds the jobs of
// the others.
func TestStoreName(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	names := make([]string, 20)
	var all sync.WaitGroup
	for i := range names {
		all.Go(func() { names[i] = storeName(store) })
	}
	all.Wait()
	for _, name := range names {
		if name != names[0] || name == "" {
			t.Errorf("it is called %q, and %q", name, names[0])
		}
	}
	if files, err := os.ReadDir(filepath.Join(store, "jobs")); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	if other := storeName(filepath.Join(t.TempDir(), "store")); other == names[0] {
		t.Error("two stores have one name")
	}
}
