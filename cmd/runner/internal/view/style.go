// Package view shows what happens in a run: live on a terminal, as plain lines
// elsewhere, or as a stream of JSON for programs.
package view

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// Style colours text. The zero Style leaves it plain.
type Style struct{ Colour bool }

// Bold emphasises s.
func (y Style) Bold(s string) string { return y.code("1", s) }

// Dim takes s back.
func (y Style) Dim(s string) string { return y.code("2", s) }

// Red marks s as a failure.
func (y Style) Red(s string) string { return y.code("31", s) }

// Green marks s as a success.
func (y Style) Green(s string) string { return y.code("32", s) }

// Yellow marks s as something to be done.
func (y Style) Yellow(s string) string { return y.code("33", s) }

func (y Style) code(code, s string) string {
	if !y.Colour || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Pad fills s with spaces to a width in columns.
func Pad(s string, width int) string {
	if n := width - runewidth.StringWidth(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// Width returns the columns that the widest of the texts takes, at most limit.
func Width(limit int, texts ...string) int {
	widest := 0
	for _, s := range texts {
		widest = max(widest, runewidth.StringWidth(s))
	}
	return min(widest, limit)
}

// Cut shortens s to a width in columns, with an ellipsis.
func Cut(s string, width int) string { return runewidth.Truncate(s, width, "…") }
