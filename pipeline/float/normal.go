package float

import (
	"math"
	"math/rand/v2"
)

// Normal draws from the standard normal distribution what rng.NormFloat64
// draws, which itself compares by a sum that may be fused.
//
// It is the ziggurat of Marsaglia and Tsang, "The Ziggurat Method for
// Generating Random Variables" (2000): the density is covered by 127
// strips of equal area and the tail, and nearly every point of a strip lies
// below the density whatever its height.
func Normal(rng *rand.Rand) float64 {
	for {
		bits := rng.Uint64()
		j := int32(bits)
		i := bits >> 32 & 0x7F
		x := float64(float64(j) * float64(ziggurat.width[i]))
		if magnitude(j) < ziggurat.inner[i] {
			return x
		}
		if i == 0 {
			return math.Copysign(tail(rng), float64(j))
		}
		step := float32(float32(rng.Float64()) * (ziggurat.height[i-1] - ziggurat.height[i]))
		if ziggurat.height[i]+step < float32(Exp(-0.5*x*x)) {
			return x
		}
	}
}

// tailStart is where the tail starts that has a strip's area.
const tailStart = 3.442619855899

// tail draws from the distribution beyond tailStart.
func tail(rng *rand.Rand) float64 {
	for {
		x := float64(-Log(rng.Float64()) * (1.0 / tailStart))
		y := -Log(rng.Float64())
		if y+y >= float64(x*x) {
			return tailStart + x
		}
	}
}

// magnitude returns |j|, also of the least int32.
func magnitude(j int32) uint32 {
	if j < 0 {
		return uint32(-j)
	}
	return uint32(j)
}

// strips holds the ziggurat: for each strip the width of one step of an int32,
// the steps for which a point is surely below the density, and the
// density at its outer edge.
type strips struct {
	inner         [128]uint32
	width, height [128]float32
}

var ziggurat = makeZiggurat()

func makeZiggurat() (z strips) {
	const (
		area  = 9.91256303526217e-3
		steps = 1 << 31
	)
	density := func(x float64) float64 { return Exp(-0.5 * x * x) }
	edge := tailStart
	base := area / density(edge)
	z.inner[0], z.width[0], z.height[0] = uint32(edge/base*steps), float32(base/steps), 1
	z.width[127], z.height[127] = float32(edge/steps), float32(density(edge))
	for i := 126; i >= 1; i-- {
		next := math.Sqrt(float64(-2 * Log(area/edge+density(edge))))
		z.inner[i+1] = uint32(next / edge * steps)
		edge = next
		z.width[i], z.height[i] = float32(edge/steps), float32(density(edge))
	}
	return z
}
