package cli

import (
	"fmt"
	"slices"
	"strings"

	"eyrie/pipeline"
	"eyrie/pipeline/stepname"
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
	for _, is := range stepname.Readings(name) {
		var ids []string
		for _, s := range recipe.Steps {
			if is(s.ID) {
				ids = append(ids, s.ID)
			}
		}
		if len(ids) > 0 {
			return ids, nil
		}
	}
	return nil, noStep(recipe, stepname.WithoutStage(name))
}

// noStep says that there is no such step, and what there is.
func noStep(recipe *pipeline.Recipe, name string) error {
	seen := make(map[string]bool)
	var names, keys []string // of steps and modules, without keys; of instances of the block
	block, key, keyed := strings.Cut(stepname.Bare(name), "[")
	key, _, _ = strings.Cut(key, "]")
	for _, s := range recipe.Steps {
		for _, n := range stepname.Of(s.ID) {
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
