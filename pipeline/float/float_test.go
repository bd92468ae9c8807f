package float

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/cpu"
	"gonum.org/v1/gonum/floats"
)

// functions are those of one argument, with Go's and the arguments to try.
var functions = []struct {
	name      string
	ours, go_ func(float64) float64
	draw      func(*rand.Rand) float64
	digest    uint64 // of ours on the first 10 000 arguments
}{
	{"Exp", Exp, math.Exp, signed(700), 0x463c633d4a01a886},
	{"Expm1", Expm1, math.Expm1, signed(720), 0xa102a2c76d5a58a0},
	{"Log", Log, math.Log, positive, 0xbfa7c155fd89cd7c},
	{"Log1p", Log1p, math.Log1p, func(rng *rand.Rand) float64 { return positive(rng) - 1 }, 0x967aa374df74ee19},
	{"Log10", Log10, math.Log10, positive, 0xfe758e03ef185f7f},
	{"Sin", Sin, math.Sin, signed(1000), 0xd5a86de4602b8bb7},
	{"Cos", Cos, math.Cos, signed(1000), 0x9984e1dedac277bf},
}

// signed draws numbers in ±limit, of all magnitudes down to 2⁻⁶³ of it.
func signed(limit float64) func(*rand.Rand) float64 {
	return func(rng *rand.Rand) float64 {
		return math.Ldexp(2*rng.Float64()-1, -rng.IntN(64)*rng.IntN(2)) * limit
	}
}

// positive draws numbers of all magnitudes, half of them near 1.
func positive(rng *rand.Rand) float64 {
	if rng.IntN(2) == 0 {
		return math.Ldexp(1+rng.Float64(), rng.IntN(4)-2)
	}
	return math.Ldexp(1+rng.Float64(), rng.IntN(2000)-1000)
}

// What each function gives is the same on every machine: these digests hold on
// all that the tests run on.
func TestSameEverywhere(t *testing.T) {
	check := func(name string, want uint64, next func(*rand.Rand) float64) {
		t.Helper()
		rng := rand.New(rand.NewPCG(1, 2))
		h := fnv.New64a()
		for range 10000 {
			binary.Write(h, binary.LittleEndian, next(rng))
		}
		if got := h.Sum64(); got != want {
			t.Errorf("%s: the results' digest is %#x, want %#x", name, got, want)
		}
	}
	for _, f := range functions {
		check(f.name, f.digest, func(rng *rand.Rand) float64 { return f.ours(f.draw(rng)) })
	}
	check("Pow", 0x102ebf88b782ee1a, func(rng *rand.Rand) float64 { return Pow(powArguments(rng)) })
	check("Normal", 0x5529a46185974f36, Normal)
}

func powArguments(rng *rand.Rand) (x, y float64) {
	x, y = math.Ldexp(1+rng.Float64(), rng.IntN(40)-20), 30*(2*rng.Float64()-1)
	switch rng.IntN(4) {
	case 0:
		y = math.Round(y)
	case 1:
		x, y = -x, math.Round(y)
	}
	return x, y
}

// Records were made with Go's functions on amd64 with fused multiply-add; they
// stay what they were.
func TestSameAsGo(t *testing.T) {
	if runtime.GOARCH != "amd64" || !cpu.X86.HasFMA || compilerFuses() {
		t.Skip("Go's functions give other bits on this machine")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200000 {
		for _, f := range functions {
			x := f.draw(rng)
			if got, want := f.ours(x), f.go_(x); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%s(%v) = %v, Go has %v", f.name, x, got, want)
			}
		}
		x, y := powArguments(rng)
		if got, want := Pow(x, y), math.Pow(x, y); got != want {
			t.Fatalf("Pow(%v, %v) = %v, Go has %v", x, y, got, want)
		}
	}
	ours, theirs := rand.New(rand.NewPCG(5, 6)), rand.New(rand.NewPCG(5, 6))
	for range 2000000 { // of which some 500 are in the tail
		if got, want := Normal(ours), theirs.NormFloat64(); got != want {
			t.Fatalf("Normal gives %v, Go %v", got, want)
		}
	}
}

// compilerFuses returns whether x*y + z is rounded once, as with GOAMD64=v3.
func compilerFuses() bool {
	x := 1 / math.Sqrt(3)
	return multiplyAdd(x, x, -float64(x*x)) != 0
}

//go:noinline
func multiplyAdd(x, y, z float64) float64 { return x*y + z }

// Everywhere they are as exact as Go's: within two units in the last place.
func TestAccurate(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 20000 {
		for _, f := range functions {
			x := f.draw(rng)
			if got, want := f.ours(x), f.go_(x); math.Abs(got-want) > 2*ulp(want) {
				t.Fatalf("%s(%v) = %v, Go has %v", f.name, x, got, want)
			}
		}
	}
}

func ulp(x float64) float64 { return math.Nextafter(math.Abs(x), math.Inf(1)) - math.Abs(x) }

// What is not a number, infinite or beyond the range is answered as Go does.
func TestSpecialCases(t *testing.T) {
	special := []float64{0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, 2, 3, -3, 1e300, -1e300, math.Inf(1), math.Inf(-1), math.NaN(), math.SmallestNonzeroFloat64, 0x1p63}
	same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b }
	for _, x := range special {
		for _, f := range functions {
			if math.Abs(x) >= 1<<29 && (f.name == "Sin" || f.name == "Cos") {
				continue
			}
			if runtime.GOARCH == "amd64" && x == math.SmallestNonzeroFloat64 && f.name[:3] == "Log" {
				continue // Go's assembly reads subnormal numbers as if they were normal
			}
			if got, want := f.ours(x), f.go_(x); !same(got, want) {
				t.Errorf("%s(%v) = %v, Go has %v", f.name, x, got, want)
			}
		}
		for _, y := range special {
			if got, want := Pow(x, y), math.Pow(x, y); !same(got, want) {
				t.Errorf("Pow(%v, %v) = %v, Go has %v", x, y, got, want)
			}
		}
	}
	if s, c := Sin(1<<29), Cos(-1<<29); s == s || c == c {
		t.Errorf("Sin and Cos beyond their range are %v and %v, want NaN", s, c)
	}
	if got := Exp(709.7); !(got > 1e308) || math.IsInf(got, 0) { // where Go's assembly overflows early
		t.Errorf("Exp(709.7) = %v", got)
	}
}

// Sums are in the order in which gonum's assembly for amd64 adds, which records
// were made with.
func TestDot(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for n := range 40 {
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], y[i] = Normal(rng), Normal(rng)
		}
		got, want := Dot(x, y), floats.Dot(x, y)
		if runtime.GOARCH == "amd64" && got != want || math.Abs(got-want) > 1e-14*float64(n) {
			t.Errorf("of %d numbers: %v, gonum has %v", n, got, want)
		}
		scaled := floats.AddScaledTo(make([]float64, n), x, 0.1, y)
		if AddScaled(x, 0.1, y); runtime.GOARCH == "amd64" && !slices.Equal(x, scaled) {
			t.Errorf("AddScaled gives %v, gonum has %v", x, scaled)
		}
	}
}

func BenchmarkExp(b *testing.B) {
	x, sum := -1.1, 0.0
	for b.Loop() {
		sum += Exp(x)
		x += 1e-7
	}
}

func BenchmarkLog(b *testing.B) {
	x, sum := 1.1, 0.0
	for b.Loop() {
		sum += Log(x)
		x += 1e-7
	}
}
