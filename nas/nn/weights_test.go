package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
		return withHeader(b, func(text string) string {
			s := strings.Replace(text, old, new, 1)
			if s == text {
				t.Fatalf("no %q in the header", old)
			}
			return s
		})
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

// withHeader returns the file with another header.
func withHeader(b []byte, f func(text string) string) []byte {
	n := binary.LittleEndian.Uint64(b)
	text := f(string(b[8 : 8+n]))
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), b[8+n:]...)
}

// Numbers that are none, and bytes that belong to no tensor or to two, are refused by
// the tensor's name.
func TestLoadRefusesOddTensors(t *testing.T) {
	whole := func() (map[string]string, []fileTensor) {
		b := saved(t, New(smallSpace(), 3))
		meta, _, err := decodeTensors(b)
		if err != nil {
			t.Fatal(err)
		}
		return meta, New(smallSpace(), 3).tensors()
	}
	set := func(name string, v float32) []byte {
		meta, list := whole()
		i := slices.IndexFunc(list, func(t fileTensor) bool { return t.name == name })
		list[i].data[1] = v
		return encodeTensors(meta, list)
	}
	twice := func() []byte {
		meta, list := whole()
		return encodeTensors(meta, append(list, list[0]))
	}
	more := func() []byte {
		meta, list := whole()
		return encodeTensors(meta, append(list, fileTensor{"stem.other", []int{1}, []float32{1}}))
	}
	header := func(f func(text string) string) []byte { return withHeader(saved(t, New(smallSpace(), 3)), f) }
	moved := func(by int) []byte { // classifier.weight, and all behind it
		b := saved(t, New(smallSpace(), 3))
		pad := slices.Concat(b, make([]byte, max(by, 0)))
		offsets := regexp.MustCompile(`"data_offsets":\[(\d+),(\d+)\]`)
		return withHeader(pad, func(text string) string {
			return offsets.ReplaceAllStringFunc(text, func(entry string) string {
				m := offsets.FindStringSubmatch(entry)
				from, _ := strconv.Atoi(m[1])
				to, _ := strconv.Atoi(m[2])
				if from == 0 {
					return entry
				}
				return fmt.Sprintf(`"data_offsets":[%d,%d]`, from+by, to+by)
			})
		})
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for want, b := range map[string][]byte{
		`"stem.weight": value 1 is NaN`:           set("stem.weight", nan),
		`"classifier.bias": value 1 is -Inf`:      set("classifier.bias", -inf),
		`"head.bn.running_mean": value 1 is +Inf`: set("head.bn.running_mean", inf),
		`"head.bn.running_var": value 1 is -1`:    set("head.bn.running_var", -1),
		"bytes after the last tensor":             append(saved(t, New(smallSpace(), 3)), 0, 0, 0, 0),
		`"classifier.bias" is there twice`:        twice(),
		"1 tensors more than the space has":       more(),
		"something follows":                       header(func(text string) string { return text + "{}" }),
		`begins within tensor "classifier.bias"`:  moved(-4),
		`bytes before tensor "classifier.weight"`: moved(4),
	} {
		if _, err := parse(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Weights that make outputs overflow have no accuracy, however finite they are.
func TestOverflowHasNoAccuracy(t *testing.T) {
	space := smallSpace()
	s := randomised(space, 11)
	for i := range s.ps.list {
		if p := s.ps.list[i]; p.name == "classifier.weight" {
			for j := range p.value {
				p.value[j] = 3e38
			}
		}
	}
	images := pixels(space, 21, 16)
	eachEngine(t, func(t *testing.T, e *Engine) {
		_, err := NewEvaluator(e, s, images, images, 21).Accuracy(t.Context(), space.Largest())
		if !errors.Is(err, ErrNotFinite) {
			t.Errorf("got %v", err)
		}
	})
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
