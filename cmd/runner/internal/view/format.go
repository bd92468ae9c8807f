package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"eyrie/pipeline"
)

// Duration returns d as people say it: "30 ms", "2.5 s", "12 s", "3m07s", "2h05m".
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 9950*time.Millisecond: // beyond, a decimal would make it 10.0
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(10, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// Roughly returns a time as it is said of the future, no more exact than it is known: "12 s",
// "3 min", "2.5 h".
func Roughly(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", max(1, int(d.Round(time.Second).Seconds())))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// Seconds is Duration for an event's elapsed time.
func Seconds(s float64) string { return Duration(time.Duration(s * float64(time.Second))) }

// Count returns n and the noun, in the plural unless n is 1: "1 step", "1,000 steps".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return humanize.Comma(int64(n)) + " " + noun + "s"
}

// Few joins the texts, and counts those beyond the first few.
func Few(texts []string, separator string) string {
	const few = 3
	if len(texts) <= few {
		return strings.Join(texts, separator)
	}
	return strings.Join(texts[:few], separator) + fmt.Sprintf(" and %d more", len(texts)-few)
}

// Reasons returns why a step runs, and whether it goes on from a checkpoint, in
// a line.
func Reasons(reasons []pipeline.Reason, resumes bool) string {
	const goesOn = "goes on from its checkpoint"
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = r.String()
	}
	switch {
	case resumes && nothingNew(reasons):
		return goesOn
	case resumes:
		return Few(texts, "; ") + "; " + goesOn
	}
	return Few(texts, "; ")
}

// nothingNew tells that a step runs only because it never came to its end.
func nothingNew(reasons []pipeline.Reason) bool {
	return len(reasons) == 1 && reasons[0].Why == pipeline.NoResult
}

// Number returns x with three significant digits, and whole numbers in full.
func Number(x float64) string {
	switch {
	case x == float64(int64(x)):
		return strconv.FormatInt(int64(x), 10)
	case x >= 100 || x <= -100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
