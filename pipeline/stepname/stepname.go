// Package stepname says which steps a name stands for, as people write it on the command line and
// in site files: a step's own, with or without the key of an instance, or a pattern of such names.
package stepname

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Match returns a function that reports whether a name stands for the step with an ID, by any of
// its readings.
func Match(name string) func(id string) bool {
	readings := Readings(name)
	return func(id string) bool {
		return slices.ContainsFunc(readings, func(is func(string) bool) bool { return is(id) })
	}
}

// Readings returns the ways in which a name can be read, the likeliest first: as a name, as a
// pattern, and as either of them in the words of a recipe, which has stage in front of a step.
func Readings(name string) (all []func(id string) bool) {
	for _, n := range slices.Compact([]string{name, WithoutStage(name)}) {
		all = append(all, exact(n), like(n))
	}
	return all
}

// WithoutStage returns a name as IDs have it: stage.space and module.net.stage.train are
// space and module.net.train.
func WithoutStage(name string) string {
	name = strings.TrimPrefix(name, "stage.")
	if i := strings.LastIndex(name, ".stage."); i >= 0 && strings.HasPrefix(name, "module.") {
		name = name[:i] + name[i+len(".stage"):]
	}
	return name
}

// exact reads a name as it is.
func exact(name string) func(id string) bool {
	plain := Bare(name)
	return func(id string) bool { return id == name || slices.Contains(Of(id), plain) }
}

// like reads a name as a pattern, in which * and ? stand for other characters. It matches keys
// only if it has any itself; otherwise an instance matches by the name of its block.
func like(name string) func(id string) bool {
	quoted := regexp.QuoteMeta(strings.ToValidUTF8(Bare(name), "\uFFFD")) // an expression is UTF-8
	expr := regexp.MustCompile("^(?s:" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted) + ")$")
	keyed := strings.Contains(name, "[")
	return func(id string) bool {
		return slices.ContainsFunc(Of(id), func(n string) bool { return (keyed || !strings.Contains(n, "[")) && expr.MatchString(n) })
	}
}

// mostKeys bounds how many keys of an ID a name may leave out in any combination.
const mostKeys = 4

// Of returns what stands for a step, as a shell leaves it: its ID, and those of the
// modules that it is in, with and without each of their keys.
func Of(id string) []string {
	names := []string{""}
	var all []string
	parts := partsOf(id)
	for i, p := range parts {
		name, key, keyed := strings.Cut(p, "[")
		longer := make([]string, 0, 2*len(names))
		for _, n := range names {
			if n != "" {
				n += "."
			}
			longer = append(longer, n+name)
			if keyed {
				longer = append(longer, n+name+"["+Bare(key))
			}
		}
		if names = longer; len(names) > 1<<mostKeys {
			names = names[len(names)-1:]
		}
		if i == len(parts)-1 || i%2 == 1 { // the step, or a module
			all = append(all, names...)
		}
	}
	return all
}

// partsOf splits an ID at the dots that are not in a key: module, net["a.b"], train.
func partsOf(id string) (parts []string) {
	begin := 0
	for i := 0; i < len(id); i++ {
		switch id[i] {
		case '.':
			parts, begin = append(parts, id[begin:i]), i+1
		case '[':
			if key, err := strconv.QuotedPrefix(id[i+1:]); err == nil {
				i += len(key)
			}
		}
	}
	return append(parts, id[begin:])
}

// Bare returns a name, or an ID, as a shell leaves it: space[a].
func Bare(id string) string { return strings.NewReplacer(`"`, "", `'`, "").Replace(id) }
