package meter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/data/datatest"
	"eyrie/nas/meter"
	"eyrie/nas/native"
	"eyrie/nas/nn"
	"eyrie/nas/train"
	"eyrie/pipeline/mistake"
)

// options are of a supernet with random weights and few images.
func options(t *testing.T) meter.Options {
	t.Helper()
	space := arch.Space{
		Backbone: arch.Backbone{
			Input: 3, Stem: arch.Stem{Channels: 8, Kernel: 3, Stride: 2},
			Groups: []arch.Group{{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1}, {Expansion: 6, Channels: 16, Repeats: 2, Stride: 2}},
			Head:   32, Classes: len(data.ShapeClasses()),
		},
		Widths: arch.Widths{1, 1, 1, 1}, Resolutions: []int{8, 16}, Expansions: []int{3, 6}, Depths: []int{1, 2}, Kernels: []int{3, 5},
	}
	supernet := nn.New(space, 1)
	supernet.HeldOut = 60
	set := datatest.Shapes(t, 16, 100, 40)
	return meter.Options{
		Supernet: supernet, Set: set, Holdout: 60, Calibration: 20, Dir: t.TempDir(),
		Open: func() (meter.Evaluator, error) {
			return native.Open(train.Job{Supernet: supernet, Set: set, Holdout: 60}, native.Options{Arithmetic: "go"})
		},
	}
}

// A meter that cannot be opened says why.
// Images that do not suit weights are told before these are trained.
func TestCheckFit(t *testing.T) {
	o := options(t)
	for classes, want := range map[int]string{
		o.Set.Classes: "",
		5:             `dataset: "shapes" has 3 channels and 5 classes; the supernet takes 3 channels and has 12 classes`,
	} {
		r, set, weights := mistake.New(), o.Set, nn.About{Space: o.Supernet.Space(), HeldOut: o.Holdout}.Promise()
		set.Classes = classes
		meter.CheckFit(r, &weights, &set, o.Holdout)
		if err := r.Err(); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%d classes: %v", classes, err)
		}
	}
}

// A last batch of a few calibration images would count as much as each of 200: its number is
// refused, and a better one named.
func TestCheckCalibration(t *testing.T) {
	for _, tt := range []struct {
		images, holdout, calibration int
		want                         string // "" for nothing
	}{
		{5000, 0, 2000, ""},
		{5000, 0, 2001, "write 2000"},
		{1001, 0, 2000, "write 1000"},
		{1201, 200, 2000, "write 1000"},
		{5000, 0, 224, "write 200"},
		{5000, 0, 225, ""},
		{100, 0, 2000, ""},
		{0, 0, 2000, ""}, // not known yet
	} {
		r := mistake.New()
		meter.CheckCalibration(r, &data.Set{Train: data.Part{Count: tt.images}}, tt.holdout, tt.calibration)
		if err := r.Err(); (err == nil) != (tt.want == "") || err != nil && !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for want, change := range map[string]func(*meter.Options){
		`"shapes" has 1 channels`:                                      func(o *meter.Options) { o.Set.Channels = 1 },
		"100 of the set's 100 training images leave none":              func(o *meter.Options) { o.Holdout = 100 },
		"the supernet is trained on all but 60 images, not all but 61": func(o *meter.Options) { o.Holdout = 61 },
		"open ": func(o *meter.Options) { o.Dir = filepath.Join(o.Dir, "nowhere") },
		"tea leaves": func(o *meter.Options) {
			o.Open = func() (meter.Evaluator, error) { return nil, errors.New("tea leaves") }
		},
		"index": func(o *meter.Options) { o.Set.Test.Index.Path = filepath.Join(o.Dir, "index") },
	} {
		o := options(t)
		change(&o)
		if m, err := meter.New(o); m != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// What was measured is known to the next meter; of a log that ends in the middle of a
// line the whole lines count.
func TestResume(t *testing.T) {
	o := options(t)
	ctx := context.Background()
	measure := func(known int) (held, test float64) {
		t.Helper()
		m, err := meter.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if m.Count() != known {
			t.Errorf("%d measurements are known, want %d", m.Count(), known)
		}
		n := o.Supernet.Space().Smallest()
		if held, err = m.HeldOut(ctx, n); err != nil {
			t.Fatal(err)
		}
		if test, err = m.Test(ctx, n); err != nil || m.Count() != 2 {
			t.Fatalf("%d measurements, %v", m.Count(), err)
		}
		return held, test
	}
	held, test := measure(0)
	log := filepath.Join(o.Dir, "measured.jsonl")
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for cut, known := range map[int]int{0: 2, 1: 1, 20: 1, len(b): 0} {
		if err := os.WriteFile(log, b[:len(b)-cut], 0o666); err != nil {
			t.Fatal(err)
		}
		if h, s := measure(known); h != held || s != test {
			t.Errorf("without its last %d bytes the log yields %v and %v, want %v and %v", cut, h, s, held, test)
		}
		if again, err := os.ReadFile(log); err != nil || string(again) != string(b) {
			t.Errorf("the log is now %q, want %q (%v)", again, b, err)
		}
	}
}
