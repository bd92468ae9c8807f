package plot

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	gonum "gonum.org/v1/plot"

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

func ticksBy(step, lo, hi float64) []gonum.Tick {
	var ticks []gonum.Tick
	for i := math.Ceil(lo/step - 1e-9); float64(i*step) <= hi+float64(step*1e-9); i++ {
		v := float64(i*step) + 0 // not -0
		ticks = append(ticks, gonum.Tick{Value: v, Label: tickText(v)})
	}
	return ticks
}

// logTicks labels 1, 2 and 5 of each decade, 3 and 7 as well over a single one, and
// 1 alone over many.
func logTicks(lo, hi float64) []gonum.Tick {
	var ticks []gonum.Tick
	decades := float.Log10(hi / lo)
	for e := math.Floor(float.Log10(lo)); e <= math.Ceil(float.Log10(hi)); e++ {
		for m := 1.0; m < 10; m++ {
			v := m * float.Pow(10, e)
			if v < lo*(1-1e-9) || v > hi*(1+1e-9) {
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

// wrap breaks a text into at most so many lines of at most this width, and cuts
// what is longer.
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
