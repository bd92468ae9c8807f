package plot

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"eyrie/pipeline/float"
)

// tickText writes a number as short as it is exact to ten digits.
func tickText(v float64) string {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 10, 64), 64)
	if a := math.Abs(v); a != 0 && (a >= 1e9 || a < 1e-4) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// linearTicks labels multiples of 1, 2, 2.5 or 5 times a power of ten, some six of
// them.
func linearTicks(lo, hi float64) []gonum.Tick {
	step := float.Pow(10, math.Floor(float.Log10((hi-lo)/6)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if (hi-lo)/(m*step) <= 6.5 {
			step *= m
			break
		}
	}
	return ticksBy(step, lo, hi)
}

// wholeTicks labels whole numbers only, as suits a count.
func wholeTicks(lo, hi float64) []gonum.Tick {
	if hi-lo < 6.5 {
		return ticksBy(1, lo, hi)
	}
	return linearTicks(lo, hi)
}

// ticksBy labels the multiples of a step. The range is as wide as spread makes it, so
// that they can be told apart.
func ticksBy(step, lo, hi float64) []gonum.Tick {
	var ticks []gonum.Tick
	first := math.Ceil(lo/step - 1e-9)
	for k := range maxTicks {
		v := float64((first+float64(k))*step) + 0 // not -0
		if v > hi+float64(step*1e-9) {
			break
		}
		ticks = append(ticks, gonum.Tick{Value: v, Label: tickText(v)})
	}
	return ticks
}

// maxTicks is more than an axis ever has.
const maxTicks = 100

// logTicks labels 1, 2 and 5 of each decade, 3 and 7 as well over a single one, and
// 1 alone over many; over very many, of every few decades.
func logTicks(lo, hi float64) []gonum.Tick {
	var ticks []gonum.Tick
	decades := float.Log10(hi) - float.Log10(lo)
	each := max(1, math.Ceil(decades/12))
	for e := math.Floor(float.Log10(lo)); e <= math.Ceil(float.Log10(hi)); e++ {
		for m := 1.0; m < 10; m++ {
			v := m * float.Pow(10, e)
			if v < lo*(1-1e-9) || v > hi*(1+1e-9) || each > 1 && (m > 1 || math.Mod(e, each) != 0) {
				continue
			}
			t := gonum.Tick{Value: v}
			if m == 1 || decades < 3 && (m == 2 || m == 5) || decades < 1.2 && (m == 3 || m == 7) || decades < 0.7 {
				t.Label = tickText(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// What an axis can show: there must be air around it, which on a logarithmic axis is
// a factor.
const (
	largest     = 1e300
	largestLog  = 1e280
	smallestLog = 1e-280
	// finest is the least difference of an axis' ends, by their size: labels have ten
	// digits.
	finest = 1e-8
	// narrowest is the least difference of any ends: below it a tenth of it is lost.
	narrowest = 1e-290
)

// fits reports why an axis cannot show a number, in the unit shown.
func (a Axis) fits(v float64) error {
	switch {
	case math.IsNaN(v):
		return errors.New("is no number")
	case math.Abs(v) > largest:
		return fmt.Errorf("is %.3g, and a figure shows numbers up to %.0g: set the axis' scale", v, largest)
	case a.Log && v <= 0:
		return fmt.Errorf("is %v, and a logarithmic axis has only positive numbers", v)
	case a.Log && (v < smallestLog || v > largestLog):
		return fmt.Errorf("is %.3g, and a logarithmic axis shows numbers from %.0g to %.0g: set the axis' scale", v, smallestLog, largestLog)
	}
	return nil
}

// tooClose reports whether two ends are so near each other that nothing could be told
// apart between them.
func tooClose(lo, hi float64) bool {
	return hi-lo <= max(narrowest, finest*max(math.Abs(lo), math.Abs(hi)))
}

// spread moves the ends of a range that is too narrow apart, around where it is.
func spread(lo, hi float64, log bool) (float64, float64) {
	if !tooClose(lo, hi) {
		return lo, hi
	}
	if log {
		return lo / 2, hi * 2
	}
	middle := lo + float64((hi-lo)/2)
	air := max(0.5, 0.05*math.Abs(middle))
	return middle - air, middle + air
}

// name returns what the axis shows, or else its letter.
func (a Axis) name(letter string) string {
	if a.Title != "" {
		return a.Title
	}
	return letter
}

// title returns an axis' title with its unit and, where all series share them,
// the kinds of its numbers.
func (a Axis) title(kinds string) string {
	t := a.Title
	if a.Unit != "" {
		t = strings.TrimSpace(t + " (" + a.Unit + ")")
	}
	if kinds != "" && kinds != "given" {
		t = strings.TrimPrefix(t+", "+kinds, ", ")
	}
	return t
}

// wrap breaks a text into at most the given number of lines of the given width, and
// cuts what is longer.
func wrap(s string, style text.Style, width vg.Length, most int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		word = clip(word, style, width)
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && style.Width(longer) > width {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	lines = append(lines, line)
	if len(lines) > most {
		lines = append(lines[:most-1], clip(strings.Join(lines[most-1:], " "), style, width))
	}
	return strings.Join(lines, "\n")
}

// clip shortens a text to this width.
func clip(s string, style text.Style, width vg.Length) string {
	if style.Width(s) <= width {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && style.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
