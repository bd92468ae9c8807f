package float

import "math"

// Cos returns the cosine of x for |x| < 2²⁹, and NaN beyond.
func Cos(x float64) float64 {
	z, octant := octantOf(math.Abs(x))
	y := 0.0
	if octant&3 == 2 {
		y = sinNear0(z)
	} else {
		y = cosNear0(z)
	}
	if octant == 2 || octant == 4 {
		return -y
	}
	return y
}

// Sin returns the sine of x for |x| < 2²⁹, and NaN beyond.
func Sin(x float64) float64 {
	if x == 0 {
		return x // with its sign
	}
	z, octant := octantOf(math.Abs(x))
	y := 0.0
	if octant&3 == 2 {
		y = cosNear0(z)
	} else {
		y = sinNear0(z)
	}
	if (octant >= 4) != (x < 0) {
		return -y
	}
	return y
}

// octantOf returns x ≥ 0 as z + octant·π/4 + 2πn, octant being one of 0, 2, 4
// and 6, and |z| ≤ π/4. π/4 is in three parts, the first two of which are
// exact times a small integer.
func octantOf(x float64) (z float64, octant uint64) {
	if !(x < 1<<29) {
		return math.NaN(), 0
	}
	j := uint64(float64(x * (4 / math.Pi)))
	j += j & 1
	y := float64(j)
	z = ((x - float64(y*7.85398125648498535156e-1)) - float64(y*3.77489470793079817668e-8)) - float64(y*2.69515142907905952645e-15)
	return z, j & 7
}

func sinNear0(z float64) float64 {
	zz := float64(z * z)
	p := horner(zz, 1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6, -1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1)
	return z + float64(z*zz*p)
}

func cosNear0(z float64) float64 {
	zz := float64(z * z)
	p := horner(zz, -1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7, 2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2)
	return 1.0 - float64(0.5*zz) + float64(zz*zz*p)
}
