// Package word has what messages to a recipe's author are put together from:
// suggestions for misspelt names, and lists of names.
package word

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"eyrie/pipeline/mistake"
)

// DidYouMean returns a sentence, with a space before it, that suggests the
// candidate most like name; or nothing when none is.
func DidYouMean(name string, candidates []string) string {
	if near := mistake.Nearest(name, candidates); near != "" {
		return fmt.Sprintf(" Did you mean %q?", near)
	}
	return ""
}

// Keys returns a map's keys in order.
func Keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Others returns the names but one.
func Others(names []string, but string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n == but })
}

// Quote returns the words in quotes, with commas between them.
func Quote(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, ", ")
}

// First returns the first n words, and a sign that there are more.
func First(all []string, n int) []string {
	if len(all) > n {
		return append(all[:n:n], "…")
	}
	return all
}
