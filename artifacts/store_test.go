package artifacts_test

import (
	"path/filepath"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/storetest"
)

func TestDir(t *testing.T) {
	storetest.Run(t, func(t *testing.T) artifacts.Store {
		s, err := artifacts.OpenDir(filepath.Join(t.TempDir(), "store"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

func TestMem(t *testing.T) {
	storetest.Run(t, func(t *testing.T) artifacts.Store {
		s := artifacts.NewMem()
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
