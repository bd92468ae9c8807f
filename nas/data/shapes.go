package data

import (
	"context"
	"fmt"
	"math/bits"
)

// Shapes generates coloured shapes: each image shows one disc, triangle or
// square, small or large, warm or cool, at a random place and angle, over a
// dim gradient with thin lines and dots for clutter and with noise. Twelve
// classes tell shape, size and colour apart, so that a network needs all three,
// and resolution, to do well.
//
// An image depends on the seed, its number and the size alone, and shows the
// same scene at every size. All arithmetic is in integers: images are equal to
// the bit on every machine.
type Shapes struct {
	Seed  uint64
	Size  int     // side in pixels
	Noise float64 // amplitude of the noise in parts of white, 0 … 1
}

var (
	shapeKinds  = []string{"disc", "triangle", "square"}
	shapeSizes  = []string{"small", "large"}
	shapeColour = []string{"warm", "cool"}
)

// ShapeClasses returns the names of the classes, in the order of the labels.
func ShapeClasses() []string {
	var names []string
	for _, kind := range shapeKinds {
		for _, size := range shapeSizes {
			for _, colour := range shapeColour {
				names = append(names, fmt.Sprintf("%s %s %s", size, colour, kind))
			}
		}
	}
	return names
}

// Lengths are in units of 1/65536 of the image's side, directions in units of
// 1/16384.
const (
	unit      = 1 << 16
	direction = 1 << 14
)

type point struct{ x, y int }

// scene is what an image shows.
type scene struct {
	kind, radius  int
	centre, turn  point
	colour        [3]int
	dark, light   [3]int // the gradient's ends
	along         point  // the gradient's direction
	clutter       []stroke
	noiseSeed     uint64
	noiseStrength int // grey levels
}

// stroke is a thin line, or a dot when its ends are equal.
type stroke struct {
	a, b   point
	width  int
	colour [3]int
	lo, hi point // its bounding box
}

// Render draws image i into dst (Size×Size×3 bytes) and returns its label.
func (g Shapes) Render(i int, dst []byte) (label int) {
	label, err := g.Draw(context.Background(), i, dst)
	if err != nil {
		panic(err)
	}
	return label
}

// Draw is Render that ends with an error when ctx does: a large image takes seconds.
func (g Shapes) Draw(ctx context.Context, i int, dst []byte) (label int, err error) {
	if len(dst) != g.Size*g.Size*3 {
		panic(fmt.Sprintf("data.Shapes.Render: %d bytes for an image of side %d", len(dst), g.Size))
	}
	label = i % (len(shapeKinds) * len(shapeSizes) * len(shapeColour))
	sc := g.scene(i, label)
	for y := range g.Size {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		for x := range g.Size {
			sc.pixel(x, y, g.Size, dst[(y*g.Size+x)*3:][:3])
		}
	}
	return label, nil
}

// Split renders n images, numbered from first, in memory.
func (g Shapes) Split(first, n int) *Split {
	size := g.Size * g.Size * 3
	pixels, labels := make([]byte, n*size), make([]int32, n)
	for i := range n {
		labels[i] = int32(g.Render(first+i, pixels[i*size:(i+1)*size]))
	}
	return FromPixels(g.Size, g.Size, 3, len(ShapeClasses()), pixels, labels)
}

// scene draws the random parts of an image.
func (g Shapes) scene(i, label int) scene {
	d := newRNG(g.Seed, 0, i)
	colour, size, kind := label%2, label/2%2, label/4
	s := scene{kind: kind, noiseStrength: int(g.Noise * 255)}
	s.radius = d.in(unit*14/100, unit*19/100)
	if size == 1 {
		s.radius = d.in(unit*27/100, unit*36/100)
	}
	s.centre = point{d.in(s.radius, unit-s.radius), d.in(s.radius, unit-s.radius)}
	s.turn, s.along = d.turn(), d.turn()
	s.colour = d.tint(colour)
	for c := range 3 {
		s.dark[c], s.light[c] = d.in(0, 60), d.in(60, 130)
	}
	for range d.in(2, 6) {
		st := stroke{a: point{d.in(0, unit), d.in(0, unit)}, width: d.in(unit/90, unit/45)}
		for c := range 3 {
			st.colour[c] = d.in(40, 255)
		}
		st.b = point{st.a.x + d.in(-unit/3, unit/3), st.a.y + d.in(-unit/3, unit/3)}
		if d.in(0, 1) == 0 {
			st.b, st.width = st.a, st.width*2
		}
		st.lo = point{min(st.a.x, st.b.x) - st.width, min(st.a.y, st.b.y) - st.width}
		st.hi = point{max(st.a.x, st.b.x) + st.width, max(st.a.y, st.b.y) + st.width}
		s.clutter = append(s.clutter, st)
	}
	s.noiseSeed = d.pcg.Uint64()
	return s
}

// in returns a whole number from lo to hi, both inclusive.
func (d *rng) in(lo, hi int) int {
	h, _ := bits.Mul64(d.pcg.Uint64(), uint64(hi-lo+1))
	return lo + int(h)
}

// turn returns a random direction: (cos, sin) of an angle, scaled.
func (d *rng) turn() point {
	for {
		x, y := d.in(-direction, direction), d.in(-direction, direction)
		if q := x*x + y*y; q > direction*direction/4 && q <= direction*direction {
			r := isqrt(q)
			return point{x * direction / r, y * direction / r}
		}
	}
}

// tint returns a warm (0: red to yellow) or cool (1: green-blue to violet) colour.
func (d *rng) tint(colour int) [3]int {
	strong, weak, between := d.in(170, 255), d.in(0, 70), d.in(0, 190)
	if colour == 0 {
		return [3]int{strong, min(strong, between), weak}
	}
	return [3]int{weak, min(strong, between), strong}
}

func isqrt(n int) int {
	r := 0
	for bit := 1 << (bits.Len(uint(n)) / 2); bit > 0; bit >>= 1 {
		if t := r + bit; t*t <= n {
			r = t
		}
	}
	return r
}

// grid is the side of the grid of samples in a pixel.
const grid = 4

// pixel writes the colour of a pixel: the mean of its samples, and noise.
func (s *scene) pixel(x, y, size int, dst []byte) {
	var r, g, b, empty int
	for sy := range grid {
		for sx := range grid {
			p := point{
				(2*(x*grid+sx) + 1) * unit / (2 * grid * size),
				(2*(y*grid+sy) + 1) * unit / (2 * grid * size),
			}
			if colour := s.sample(p); colour != nil {
				r, g, b = r+colour[0], g+colour[1], b+colour[2]
			} else {
				empty++
			}
		}
	}
	// How far the pixel lies along the gradient, from 0 to 2·unit.
	at := point{(2*x + 1) * unit / (2 * size), (2*y + 1) * unit / (2 * size)}
	t := unit + ((at.x-unit/2)*s.along.x+(at.y-unit/2)*s.along.y)/direction
	h := mix(s.noiseSeed ^ mix(uint64(y*size+x)))
	for c, sum := range []int{r, g, b} {
		ground := s.dark[c] + (s.light[c]-s.dark[c])*t/(2*unit)
		noise := (int(h>>(16*c)&0xffff)*2 - 0xffff) * s.noiseStrength / 0xffff
		dst[c] = byte(min(255, max(0, (sum+empty*ground)/(grid*grid)+noise)))
	}
}

// sample returns the colour at a point, nil for the ground. Clutter lies behind
// the shape.
func (s *scene) sample(p point) *[3]int {
	if s.inside(p) {
		return &s.colour
	}
	for i := range s.clutter {
		if st := &s.clutter[i]; st.covers(p) {
			return &st.colour
		}
	}
	return nil
}

// inside reports whether p is in the shape, by turning it into the shape's frame.
func (s *scene) inside(p point) bool {
	dx, dy := p.x-s.centre.x, p.y-s.centre.y
	if max(abs(dx), abs(dy)) > s.radius {
		return false
	}
	x := (dx*s.turn.x + dy*s.turn.y) / direction
	y := (dy*s.turn.x - dx*s.turn.y) / direction
	switch r := s.radius; s.kind {
	case 0:
		return x*x+y*y <= r*r
	case 1: // each side is r/2 from the centre; 14189/16384 is sin 60°
		return -2*y <= r && 2*14189*abs(x)+direction*y <= direction*r
	default: // side r·√2; 11585/16384 is 1/√2
		return max(abs(x), abs(y))*direction <= r*11585
	}
}

// covers reports whether p is within the stroke's width of its line.
func (st *stroke) covers(p point) bool {
	if p.x < st.lo.x || p.x > st.hi.x || p.y < st.lo.y || p.y > st.hi.y {
		return false
	}
	dx, dy := st.b.x-st.a.x, st.b.y-st.a.y
	px, py := p.x-st.a.x, p.y-st.a.y
	if length := dx*dx + dy*dy; length > 0 {
		t := min(length, max(0, px*dx+py*dy)) // of length, along the line
		px -= dx * (t / 1024) / max(1, length/1024)
		py -= dy * (t / 1024) / max(1, length/1024)
	}
	return px*px+py*py <= st.width*st.width
}

func abs(x int) int { return max(x, -x) }
