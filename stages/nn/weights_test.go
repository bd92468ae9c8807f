package nn

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func saved(t testing.TB, s *Supernet) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is loaded is what was saved: the space, every tensor, the statistics.
func TestSaveLoad(t *testing.T) {
	s := randomised(smallSpace(), 3)
	s.HeldOut = 77
	for _, l := range s.all() {
		for i := range l.maxOut {
			l.runMean[i], l.runVar[i] = float32(i), float32(2*i)
		}
	}
	b := saved(t, s)
	l, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(saved(t, l), b) {
		t.Error("saving what was loaded gives another file")
	}
	if !slices.Equal(s.ps.value, l.ps.value) {
		t.Error("weights differ")
	}
	if a, b := s.Space().Size(), l.Space().Size(); a.Cmp(b) != 0 {
		t.Errorf("the space has %v subnets, had %v", b, a)
	}
}

// A file that is not whole, or of something else, is refused.
func TestLoadRefuses(t *testing.T) {
	b := saved(t, New(smallSpace(), 3))
	replace := func(old, new string) []byte {
		s := strings.Replace(string(b), old, new, 1)
		if s == string(b) {
			t.Fatalf("no %q in the file", old)
		}
		return []byte(s)
	}
	for want, b := range map[string][]byte{
		"shorter than":                    b[:4],
		"a header of":                     b[:100],
		"bytes ":                          b[:len(b)-1],
		`format "eyrie supernet 2"`:       replace(formatName, "eyrie supernet 2"),
		`type "F16"`:                      replace(`"F32"`, `"F16"`),
		`"stem.weight" is missing`:        replace("stem.weight", "stem.weighs"),
		"does not fit":                    replace(`\"widths\":[1,1,1,1,1]`, `\"widths\":[9,9,9,9,9]`),
		"expansion or kernel of":          replace(`[3,5,7]`, `[3,5,799]`),
		"want at least one value":         replace(`\"kernels\":[3,5,7]`, `\"kernels\":[     ]`),
		"tensor \"g2.b1.depthwise.weight": replace(`\"kernels\":[3,5,7]`, `\"kernels\":[3,5]  `),
	} {
		path := filepath.Join(t.TempDir(), "w")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %s: … %s", err, path, want)
		}
	}
}

// No file makes the parser panic or take memory without bounds.
func FuzzParse(f *testing.F) {
	b := saved(f, New(smallSpace(), 3))
	f.Add(b)
	f.Add(b[:200])
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		c := slices.Clone(b)
		c[rng.IntN(4000)] ^= 1 << rng.IntN(8)
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parse(b); err == nil && s.Params() == 0 {
			t.Error("an empty supernet")
		}
	})
}
