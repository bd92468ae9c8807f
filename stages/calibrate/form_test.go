package calibrate

import (
	"math"
	"slices"
	"testing"

	"eyrie/nas/raptor"
)

// The rule: of the forms within 4 of the least AICc the one that errs least where it errs most;
// of equals, within 0.1 %, the one listed first.
func TestChoose(t *testing.T) {
	for _, test := range []struct {
		what string
		fits []formFit
		want int
	}{
		{"one", []formFit{{aicc: 3, worst: 0.1}}, 0},
		{"a clear winner errs more at worst", []formFit{{aicc: 0, worst: 0.01}, {aicc: -4.1, worst: 0.2}}, 1},
		{"AICc does not tell", []formFit{{aicc: -3, worst: 0.06}, {aicc: -6.9, worst: 0.07}}, 0},
		{"equals: the first", []formFit{{aicc: -3, worst: 0.0605}, {aicc: -4, worst: 0.06}}, 0},
		{"better beyond equal", []formFit{{aicc: -3, worst: 0.062}, {aicc: -4, worst: 0.06}}, 1},
		{"too few values for AICc", []formFit{{aicc: math.Inf(1), worst: 0.2}, {aicc: math.Inf(1), worst: 0.1}}, 1},
		{"of some of them", []formFit{{aicc: math.Inf(1), worst: 0.01}, {aicc: -4, worst: 0.1}}, 1},
	} {
		if got := choose(test.fits); got != test.want {
			t.Errorf("%s: %d, want %d", test.what, got, test.want)
		}
	}
}

// The criterion is the textbook's: for n = 13, a residual sum of 0.05 and 4 parameters and the
// variance, 13·ln(0.05/13) + 2·5 + 2·5·6/(13 − 5 − 1).
func TestAICc(t *testing.T) {
	if got, want := aicc(0.05, 13, 4), 13*math.Log(0.05/13)+10+60./7; !within(got, want, 1e-12) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, n := range []int{1, 5, 6} {
		if got := aicc(0.05, n, 4); !math.IsInf(got, 1) {
			t.Errorf("%d values: %v, want infinity", n, got)
		}
	}
	if one, more := aicc(0.05, 13, 2), aicc(0.05, 13, 2.5); more <= one {
		t.Error("half a parameter costs nothing")
	}
}

// A datasheet is enough for every form: what it does not say is at the priors' centres, and
// what it says stays.
func TestForms(t *testing.T) {
	sheet := raptor.Platform{Name: "NPU", Clock: 400e6, PEs: 256, Memory: 96 << 10}
	for i := range forms {
		f := &forms[i]
		p := f.on(sheet, f.fit)
		if err := p.Validate(); err != nil {
			t.Errorf("form %s: %v", f.name, err)
		}
		for _, name := range f.fit {
			par := &parameters[index(name)]
			if got, want := par.first(&p), f.prior(par).centre(256); !within(got, want, 1e-12) {
				t.Errorf("form %s: %s begins at %v, want %v", f.name, name, got, want)
			}
		}
		said := sheet
		said.Rates, said.ActivationCost, said.Overlap = raptor.Rates{Conv: 1, Pointwise: 2, Depthwise: 3, Linear: 4}, 5, 0.5
		if p = f.on(said, f.fit); p.Rates != said.Rates || p.ActivationCost != 5 || p.Overlap != 0.5 {
			t.Errorf("form %s changes what the platform says: %+v", f.name, p)
		}
		if p.Policy != f.policy || f.array != (p.Array != raptor.Array{}) {
			t.Errorf("form %s: policy %s, array %v", f.name, p.Policy, p.Array)
		}
		for _, name := range f.fit {
			if index(name) < 0 {
				t.Errorf("form %s: no parameter %s", f.name, name)
			}
		}
	}
	if n := slices.MaxFunc(forms, func(a, b form) int { return len(a.fit) - len(b.fit) }); len(n.fit) > maxFree {
		t.Errorf("form %s has %d parameters, more than %d", n.name, len(n.fit), maxFree)
	}
	if len(parameters) < maxFree { // else a recipe can ask for more
		t.Errorf("%d parameters", len(parameters))
	}
}

// The array that is taken of a number of PEs: as many channels in as out, up to 16, and pixels.
// Those of Arm's Ethos-U55 are 8 × 8 channels and two pixels of 128, 16 × 16 and one of 256.
func TestArray(t *testing.T) {
	for pes, want := range map[int]raptor.Array{
		1: {Channels: 1, Rows: 1, Columns: 1}, 32: {Channels: 4, Rows: 1, Columns: 2}, 64: {Channels: 8, Rows: 1, Columns: 1}, 128: {Channels: 8, Rows: 1, Columns: 2},
		256: {Channels: 16, Rows: 1, Columns: 1}, 512: {Channels: 16, Rows: 1, Columns: 2}, 1024: {Channels: 16, Rows: 2, Columns: 2}, 100: {Channels: 8, Rows: 1, Columns: 1},
	} {
		if got := array(pes); got != want {
			t.Errorf("%d PEs: %+v, want %+v", pes, got, want)
		}
	}
}
