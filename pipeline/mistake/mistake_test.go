package mistake

import (
	"errors"
	"io/fs"
	"testing"
)

// A path is read as it is written.
func TestParse(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "rates.conv": 2, "phases[0].expansions[2]": 4, `compare["0.5@160"].width`: 3, "rows[*].top1": 3, `["a b"]`: 1, "widths[-1]": 2,
	} {
		p := Parse(text)
		if len(p) != want || p.String() != text && text != "widths[-1]" {
			t.Errorf("%q becomes %v, of %d steps", text, p, len(p))
		}
	}
	for _, text := range []string{"a..b", "a[", "a[x]", "a[1", `a["x]`, "[", "."} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is read as a path", text)
				}
			}()
			Parse(text)
		}()
	}
}

// Whatever a path's names, it is read as it is written.
func FuzzPath(f *testing.F) {
	f.Add("a", 1, "b.c[0]")
	f.Fuzz(func(t *testing.T, first string, i int, last string) {
		if first == "" || last == "" {
			return
		}
		p := Path{{Name: first}, {Index: max(i, -1)}, {Name: last}}
		if got := Parse(p.String()); len(got) != 3 || !got.begins(p) {
			t.Errorf("%v becomes %v", p, got)
		}
	})
}

// space is a value with parts of its own.
type space struct{ kernels, widths []int }

func (s space) Check(r *Report) {
	for i, k := range s.kernels {
		if in := r.At("kernels", i); in.Knows() && k%2 == 0 {
			in.Badf("%d is even", k)
		}
	}
	if r.Knows("kernels", "widths") && len(s.widths) != len(s.kernels) {
		r.At("widths").Badf("want %d", len(s.kernels))
	}
}

// All mistakes are found, with their paths; what is unknown, or around or within what
// is, is not judged.
func TestReport(t *testing.T) {
	s := space{kernels: []int{3, 4, 6}}
	for unknown, want := range map[string]string{
		"":                 "space.kernels[1]: 4 is even\nspace.kernels[2]: 6 is even\nspace.widths: want 3",
		"space.kernels[1]": "space.kernels[2]: 6 is even",
		"space.widths":     "space.kernels[1]: 4 is even\nspace.kernels[2]: 6 is even",
		"space.kernels":    "",
		"space":            "",
		"space.widths[7]":  "space.kernels[1]: 4 is even\nspace.kernels[2]: 6 is even",
	} {
		r := New()
		if unknown != "" {
			r = New(Parse(unknown))
		}
		s.Check(r.At("space"))
		got := ""
		if err := r.Err(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("unknown %q: got\n%s\nwant\n%s", unknown, got, want)
		}
	}
}

// Mistakes can be found in errors, moved to where their value is, and keep what they wrap.
func TestWithin(t *testing.T) {
	err := Within("network.space", List{At("kernels[1]", "%w", fs.ErrNotExist), {Err: errors.New("too large")}})
	if err.Error() != "network.space.kernels[1]: file does not exist\nnetwork.space: too large" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if Within("x", nil) != nil || In(space{}) != nil {
		t.Error("a mistake in what has none")
	}
	var m *Mistake
	if !errors.As(err, &m) || m.Path.String() != "network.space.kernels[1]" {
		t.Errorf("got %v", m)
	}
}
