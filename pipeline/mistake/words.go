package mistake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// OneOf returns an error unless a value is one of the choices: `"c" is not one of "a"
// and "b"`.
func OneOf(value string, choices []string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return fmt.Errorf("%q is not one of %s", value, Quoted("and", choices...))
}

// Quoted lists words for a message, each in quotes, with a conjunction before the last:
// "a", "b" or "c".
func Quoted[S ~string](conjunction string, words ...S) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" " + conjunction + " ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(string(w)))
	}
	return b.String()
}
