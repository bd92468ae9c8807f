package float

import "math"

// The coefficients of log((1+s)/(1−s)) = 2s + s·(l1·s² + l2·s⁴ + …), within
// 2⁻⁵⁸·⁴⁵ for |s| ≤ 0.1716.
const (
	l1 = 6.666666666666735130e-01
	l2 = 3.999999999940941908e-01
	l3 = 2.857142874366239149e-01
	l4 = 2.222219843214978396e-01
	l5 = 1.818357216161805012e-01
	l6 = 1.531383769920937332e-01
	l7 = 1.479819860511658591e-01
)

// Log returns the natural logarithm of x, within 1 ulp.
func Log(x float64) float64 {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 1):
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	u, k := normalise(x)
	f := u - 1
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	odd := l1 + float64(s4*(l3+float64(s4*(l5+float64(s4*l7)))))
	even := l2 + float64(s4*(l4+float64(s4*l6)))
	return sumLog(f, s, float64(s2*odd)+float64(s4*even), k, 0)
}

// Log1p returns log(1 + x), accurately also where x is near 0.
func Log1p(x float64) float64 {
	if !(x > -1) || math.IsInf(x, 1) {
		return Log(1 + x)
	}
	if math.Abs(x) < 1.0/(1<<29) {
		return x - float64(x*x*0.5)
	}
	f, k, lost := x, 0.0, 0.0
	if x <= math.Sqrt2/2-1 || x >= math.Sqrt2-1 {
		u := 1 + x
		switch {
		case x >= 1<<53: // 1 is less than its last place
		case u >= 2:
			lost = (1 - (u - x)) / u
		default:
			lost = (x - (u - 1)) / u
		}
		u, k = normalise(u)
		f = u - 1
	}
	s := f / (2 + f)
	z := float64(s * s)
	rest := horner(z, l7, l6, l5, l4, l3, l2, l1)
	return sumLog(f, s, float64(z*rest), k, lost)
}

// Log10 returns the decimal logarithm of x.
func Log10(x float64) float64 { return float64(Log(x) * (1 / math.Ln10)) }

// normalise returns x > 0 as u·2ᵏ with u in [√½, √2).
func normalise(x float64) (u, k float64) {
	u, e := math.Frexp(x)
	if u < math.Sqrt2/2 {
		u *= 2
		e--
	}
	return u, float64(e)
}

// sumLog returns log(1 + f) + k·ln 2 + lost, where with s = f / (2 + f)
// log(1 + f) is f − f²/2 + s·(f²/2 + rest).
func sumLog(f, s, rest, k, lost float64) float64 {
	half := float64(0.5 * f * f)
	low := float64(k*ln2Lo) + lost
	return float64(k*ln2Hi) - ((half - (float64(s*(half+rest)) + low)) - f)
}

// horner evaluates a polynomial given by its coefficients, the highest power's
// first.
func horner(x float64, coefficients ...float64) float64 {
	y := coefficients[0]
	for _, c := range coefficients[1:] {
		y = float64(y*x) + c
	}
	return y
}
