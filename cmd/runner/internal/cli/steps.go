package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"eyrie/pipeline"
)

// namesHelp says how commands take steps.
const namesHelp = `A step is named as in the recipe, with or without "stage.": space, stage.space. A step
with for_each stands for all its instances; one of them is space["a"], or space[a] as a
shell likes it. * stands for any characters and ? for one: found*, 'space[70*]'.
The steps of a module follow its name: module.net.train, module.net["a"].train; without
the key, they are those of all instances, and module.net is all steps that are in it.`

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
	for _, name := range []string{name, withoutStage(name)} {
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
	return nil, noStep(recipe, withoutStage(name))
}

// withoutStage returns a name as IDs have it: stage.space and module.net.stage.train are
// space and module.net.train.
func withoutStage(name string) string {
	name = strings.TrimPrefix(name, "stage.")
	if i := strings.LastIndex(name, ".stage."); i >= 0 && strings.HasPrefix(name, "module.") {
		name = name[:i] + name[i+len(".stage"):]
	}
	return name
}

func named(name string) func(*pipeline.Step) bool {
	plain := unquoted(name)
	return func(s *pipeline.Step) bool { return s.ID == name || slices.Contains(namesOf(s.ID), plain) }
}

// pattern returns what a name matches in which * and ? stand for others: a step's name,
// and its keys if the name has any.
func pattern(name string) func(*pipeline.Step) bool {
	quoted := regexp.QuoteMeta(unquoted(name))
	expr := regexp.MustCompile("^(?s:" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted) + ")$")
	keyed := strings.Contains(name, "[")
	return func(s *pipeline.Step) bool {
		return slices.ContainsFunc(namesOf(s.ID), func(n string) bool { return (keyed || !strings.Contains(n, "[")) && expr.MatchString(n) })
	}
}

// mostKeys bounds how many keys of an ID a name may leave out in any combination.
const mostKeys = 4

// namesOf returns what stands for a step, as a shell leaves it: its ID, and those of the
// modules that it is in, with and without each of their keys.
func namesOf(id string) []string {
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
				longer = append(longer, n+name+"["+unquoted(key))
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

// unquoted returns a step's ID as a shell leaves it: space[a].
func unquoted(id string) string { return strings.NewReplacer(`"`, "", `'`, "").Replace(id) }

// noStep says that there is no such step, and what there is.
func noStep(recipe *pipeline.Recipe, name string) error {
	seen := make(map[string]bool)
	var names, keys []string // of steps and modules, without keys; of instances of the block
	block, key, keyed := strings.Cut(unquoted(name), "[")
	key, _, _ = strings.Cut(key, "]")
	for _, s := range recipe.Steps {
		for _, n := range namesOf(s.ID) {
			if seen[n] {
				continue
			}
			seen[n] = true
			if !strings.Contains(n, "[") {
				names = append(names, n)
			} else if rest, ok := strings.CutPrefix(n, block+"["); ok && strings.HasSuffix(rest, "]") && !strings.Contains(rest, "].") {
				keys = append(keys, strings.TrimSuffix(rest, "]"))
			}
		}
	}
	what := "step " + block
	if strings.HasPrefix(block, "module.") && strings.Count(block, ".")%2 == 1 {
		what = block
	}
	switch {
	case strings.ContainsAny(name, "*?"):
		return fmt.Errorf("no step matches %q%s", name, whatThereIs("", names))
	case keyed && len(keys) > 0 && !slices.Contains(keys, key):
		return fmt.Errorf("%s has no instance %q%s", what, key, whatThereIs(key, keys))
	case keyed && len(keys) == 0 && seen[block]:
		return fmt.Errorf("%s has no instances, as it has no for_each: write %s", what, block)
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
