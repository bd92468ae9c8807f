package mistake

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Nearest returns the candidate that was probably meant by a name that is none of them, or
// "" where that cannot be told: one with few letters wrong, missing or swapped, or else one
// of which the name is a part, as "deploy" is of "deploy-estimate".
func Nearest(name string, candidates []string) string {
	if slices.Contains(candidates, name) {
		return ""
	}
	type near struct {
		distance int
		name     string
	}
	var found []near
	wanted := strings.ToLower(name)
	most := max(1, utf8.RuneCountInString(name)/3)
	for _, c := range candidates {
		lower := strings.ToLower(c)
		d := distance([]rune(wanted), []rune(lower))
		switch {
		case d <= most && d < max(utf8.RuneCountInString(c), utf8.RuneCountInString(name))/2+d%2 && (d == 0 || len(wanted) > 1 && len(lower) > 1):
			found = append(found, near{d, c})
		case partOf(wanted, lower):
			found = append(found, near{most + 1 + len(c), c})
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.MinFunc(found, func(a, b near) int { return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name)) }).name
}

// partOf reports whether a name of three letters or more is some of a longer one's words,
// or begins it.
func partOf(name, long string) bool {
	if len(name) < 3 {
		return false
	}
	words := strings.FieldsFunc(long, func(r rune) bool { return r == '-' || r == '_' || r == '.' || r == ' ' })
	return strings.HasPrefix(long, name) || len(words) > 1 && slices.Contains(words, name)
}

// distance is how many letters must be replaced, added, removed or swapped with their
// neighbour to make b of a.
func distance(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range b {
		rows[0][j+1] = j + 1
	}
	for i := range a {
		for j := range b {
			d := rows[i][j]
			if a[i] != b[j] {
				d = 1 + min(d, rows[i][j+1], rows[i+1][j])
				if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
					d = min(d, 1+rows[i-1][j-1])
				}
			}
			rows[i+1][j+1] = d
		}
	}
	return rows[len(a)][len(b)]
}
