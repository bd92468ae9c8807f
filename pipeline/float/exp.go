package float

import "math"

const (
	ln2Hi = 6.93147180369123816490e-01 // the upper 32 bits of ln 2: times a small integer it is exact
	ln2Lo = 1.90821492927058770002e-10
)

// Exp returns eˣ, within 1 ulp.
//
// x is reduced to k·ln 2 + 16·r; then eʳ − 1 is a Taylor series, doubled four
// times as (1 + y)² − 1 = y·(2 + y).
func Exp(x float64) float64 {
	const (
		ln2Upper = 0.69314718055966295651160180568695068359375
		ln2Lower = 0.28235290563031577122588448175013436025525412068e-12
	)
	switch {
	case math.IsNaN(x) || math.IsInf(x, 1):
		return x
	case x > 7.09782712893384e+02:
		return math.Inf(1)
	case x < -746:
		return 0
	}
	k := math.RoundToEven(float64(x * math.Log2E))
	r := math.FMA(-k, ln2Upper, x)
	r = math.FMA(-k, ln2Lower, r) * 0.0625
	y := 1.0 / 40320
	for _, c := range [...]float64{1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1} {
		y = math.FMA(y, r, c)
	}
	y = float64(y * r)
	for range 3 {
		y = float64(y * (2 + y))
	}
	return math.Ldexp(math.FMA(y, 2+y, 1), int(k))
}

// Expm1 returns eˣ − 1, accurately also where eˣ is near 1.
func Expm1(x float64) float64 {
	switch {
	case math.IsInf(x, 1) || math.IsNaN(x):
		return x
	case x <= -56*math.Ln2:
		return -1
	case x >= 7.09782712893383973096e+02:
		return math.Inf(1)
	case math.Abs(x) < 1.0/(1<<54):
		return x
	}
	r, c, k := reduce(x)
	half := 0.5 * r
	hxs := float64(r * half)
	r1 := 1 + float64(hxs*horner(hxs, -2.01099218183624371326e-07, 4.00821782732936239552e-06, -7.93650757867487942473e-05, 1.58730158725481460165e-03, -3.33333333333331316428e-02))
	t := 3 - float64(r1*half)
	e := float64(hxs * ((r1 - t) / (6.0 - float64(r*t))))
	if k == 0 {
		return r - (float64(r*e) - hxs)
	}
	e = float64(r*(e-c)) - c
	return scaleExpm1(r, e-hxs, k)
}

// reduce returns x as r + c + k·ln 2 with |r| ≤ ½ ln 2, c being what r lost.
func reduce(x float64) (r, c float64, k int) {
	switch a := math.Abs(x); {
	case a <= 0.5*math.Ln2:
		return x, 0, 0
	case a < 1.03972077083991796413: // 1.5·ln 2
		k = 1
	default:
		k = int(float64(math.Log2E*a) + 0.5)
	}
	if x < 0 {
		k = -k
	}
	hi := x - float64(float64(k)*ln2Hi)
	lo := float64(float64(k) * ln2Lo)
	r = hi - lo
	return r, (hi - r) - lo, k
}

// scaleExpm1 returns 2ᵏ·(1 + r − e) − 1 for k ≠ 0, in the order that loses least.
func scaleExpm1(r, e float64, k int) float64 {
	switch {
	case k == -1:
		return float64(0.5*(r-e)) - 0.5
	case k == 1 && r < -0.25:
		return -2 * (e - (r + 0.5))
	case k == 1:
		return 1 + float64(2*(r-e))
	case k <= -2 || k > 56:
		return math.Ldexp(1-(e-r), k) - 1
	case k < 20:
		return math.Ldexp((1-math.Ldexp(1, -k))-(e-r), k)
	}
	return math.Ldexp(r-(e+math.Ldexp(1, -k))+1, k)
}
