package float

import "math"

// Pow returns xʸ, with the special cases of [math.Pow].
//
// The fraction of y goes through Exp and Log, its whole part by squaring the
// fraction of x, with the exponent kept apart so that nothing overflows early.
func Pow(x, y float64) float64 {
	switch {
	case x == 0 || x == 1 || y == 0 || y == 1 || x-x != 0 || y-y != 0 || math.Abs(y) >= 1<<63 || x < 0 && y != math.Trunc(y):
		return math.Pow(x, y) // a case in which it does not compute
	case y == 0.5:
		return math.Sqrt(x)
	case y == -0.5:
		return 1 / math.Sqrt(x)
	}
	whole, fraction := math.Modf(math.Abs(y))
	result, exponent := 1.0, 0
	if fraction > 0.5 {
		fraction--
		whole++
	}
	if fraction != 0 {
		result = Exp(float64(fraction * Log(x)))
	}
	base, e := math.Frexp(x)
	for i := int64(whole); i != 0; i >>= 1 {
		if e < -1<<12 || e > 1<<12 { // over- or underflows, whatever follows
			exponent += e
			break
		}
		if i&1 == 1 {
			result = float64(result * base)
			exponent += e
		}
		base = float64(base * base)
		e <<= 1
		if base < 0.5 {
			base += base
			e--
		}
	}
	if y < 0 {
		result, exponent = 1/result, -exponent
	}
	return math.Ldexp(result, exponent)
}
