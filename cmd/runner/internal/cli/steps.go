package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"eyrie/pipeline"
)

// namesHelp says how commands take steps.
const namesHelp = `A step is named as in the recipe, with or without "stage.": space, stage.space. A step
with for_each stands for all its instances; one of them is space["a"], or space[a] as a
shell likes it. * stands for any characters and ? for one: found*, 'space[70*]'.`

// stepNames returns what the names on the command line stand for: IDs of steps, and the
// name of a step all of whose instances are meant.
func stepNames(recipe *pipeline.Recipe, names []string, flag string) ([]string, error) {
	var all []string
	for _, name := range names {
		ids, err := stepsNamed(recipe, name)
		if err != nil {
			return nil, invalidf("%s: %w", flag, err)
		}
		all = append(all, blocks(recipe, ids)...)
	}
	return all, nil
}

// stepsNamed returns the IDs of the steps that a name stands for, in the recipe's order.
func stepsNamed(recipe *pipeline.Recipe, name string) ([]string, error) {
	for _, name := range []string{name, strings.TrimPrefix(name, "stage.")} {
		for _, matches := range []func(*pipeline.Step) bool{named(name), pattern(name)} {
			var ids []string
			for _, s := range recipe.Steps {
				if matches(s) {
					ids = append(ids, s.ID)
				}
			}
			if len(ids) > 0 {
				return ids, nil
			}
		}
	}
	return nil, noStep(recipe, strings.TrimPrefix(name, "stage."))
}

func named(name string) func(*pipeline.Step) bool {
	plain := unquoted(name)
	return func(s *pipeline.Step) bool { return s.ID == name || s.Name() == name || unquoted(s.ID) == plain }
}

// pattern returns what a name matches in which * and ? stand for others: a step's name,
// and its key if the name has one.
func pattern(name string) func(*pipeline.Step) bool {
	quoted := regexp.QuoteMeta(unquoted(name))
	expr := regexp.MustCompile("^(?s:" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted) + ")$")
	if strings.Contains(name, "[") {
		return func(s *pipeline.Step) bool { return expr.MatchString(unquoted(s.ID)) }
	}
	return func(s *pipeline.Step) bool { return expr.MatchString(s.Name()) }
}

// unquoted returns a step's ID as a shell leaves it: space[a].
func unquoted(id string) string { return strings.NewReplacer(`"`, "", `'`, "").Replace(id) }

// noStep says that there is no such step, and what there is.
func noStep(recipe *pipeline.Recipe, name string) error {
	block, key, keyed := strings.Cut(unquoted(name), "[")
	key = strings.TrimSuffix(key, "]")
	var names, keys []string
	for _, s := range recipe.Steps {
		names = append(names, s.Name())
		if rest, ok := strings.CutPrefix(unquoted(s.ID), block+"["); ok {
			keys = append(keys, strings.TrimSuffix(rest, "]"))
		}
	}
	names = slices.Compact(names) // instances follow one another
	switch {
	case strings.ContainsAny(name, "*?"):
		return fmt.Errorf("no step matches %q%s", name, whatThereIs("", names))
	case keyed && len(keys) > 0:
		return fmt.Errorf("step %s has no instance %q%s", block, key, whatThereIs(key, keys))
	case keyed && slices.Contains(names, block):
		return fmt.Errorf("step %s has no instances, as it has no for_each: write %s", block, block)
	}
	return fmt.Errorf("the recipe has no step %q%s", name, whatThereIs(name, names))
}

// blocks names whole steps with for_each where all their instances are among the IDs.
func blocks(recipe *pipeline.Recipe, ids []string) []string {
	among := make(map[string]bool, len(ids))
	for _, id := range ids {
		among[id] = true
	}
	whole := make(map[string]bool)
	for _, s := range recipe.Steps {
		if known, seen := whole[s.Name()]; !seen || known {
			whole[s.Name()] = among[s.ID]
		}
	}
	var names []string
	for _, s := range recipe.Steps {
		switch name := s.Name(); {
		case whole[name]:
			names = append(names, name)
		case among[s.ID]:
			names = append(names, s.ID)
		}
	}
	return slices.Compact(names) // instances follow one another
}
