package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"eyrie/hcl"
	"eyrie/hcl/editor"
)

// completion completes what a command takes: arguments, or a flag's value.
type completion = func(cmd *cobra.Command, args []string, to string) ([]string, cobra.ShellCompDirective)

// completeFlags gives every flag of a command and of those below it something that
// completes its values: nothing where no names are known, as files are not what they take.
func (a *app) completeFlags(cmd *cobra.Command) {
	known := map[string]completion{
		"target": a.completeSteps, "rerun": a.completeSteps, "var": a.completeVariables,
		"log-level": choices(logLevels...), "format": choices("dot", "mermaid"), "grace": choices("10s", "30s", "2m"),
		"resource": begun("cpus=", "gpus=", "memory="),
		"store": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		"var-file": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	complete := func(f *pflag.Flag) {
		if _, has := cmd.GetFlagCompletionFunc(f.Name); has || f.Value.Type() == "bool" {
			return
		}
		c := known[f.Name]
		if c == nil {
			c = choices()
		}
		cobra.CheckErr(cmd.RegisterFlagCompletionFunc(f.Name, c))
	}
	cmd.LocalFlags().VisitAll(complete)
	for _, c := range cmd.Commands() {
		a.completeFlags(c)
	}
}

// choices completes one of some words.
func choices(words ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// begun completes what more is written behind.
func begun(words ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// module returns the recipe that the command line already names, with or without
// mistakes, or nil.
func (a *app) module(args []string) *hcl.Draft {
	if len(args) == 0 {
		return nil
	}
	vars := map[string]string{}
	for _, v := range a.vars {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	return hcl.Open(args[0], hcl.Options{Stages: a.stages, Vars: vars, VarFiles: a.varFiles, Environ: os.Environ()})
}

// declared returns the names of a kind that a recipe declares.
func declared(m *hcl.Draft, kind editor.Kind) []string {
	var names []string
	for _, s := range m.Symbols() {
		if s.Kind == kind && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// completeSteps completes the name of a step of the recipe: a step with for_each by its
// own name and by those of its instances, those of a module by its name.
func (a *app) completeSteps(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	m := a.module(args)
	if m == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := declared(m, editor.Stage)
	if recipe, _ := m.Recipe(); recipe != nil {
		for _, s := range recipe.Steps {
			if s.ID != s.Name() || strings.HasPrefix(s.ID, "module.") {
				names = append(names, s.ID)
			}
		}
	}
	for _, name := range declared(m, editor.Module) {
		names = append(names, "module."+name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeVariables completes name= of a variable that has no value yet.
func (a *app) completeVariables(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	m := a.module(args)
	if m == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []string
	for _, name := range declared(m, editor.Variable) {
		if !slices.ContainsFunc(a.vars, func(v string) bool { return strings.HasPrefix(v, name+"=") }) {
			all = append(all, name+"=")
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeRecipeOnly completes a recipe, and nothing after it.
func completeRecipeOnly(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"hcl"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeRecipes completes any number of recipes.
func completeRecipes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"hcl"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeRecipe completes a recipe, and then a step of it.
func (a *app) completeRecipe(cmd *cobra.Command, args []string, to string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	} else if len(args) == 0 {
		return completeRecipeOnly(cmd, args, to)
	}
	return a.completeSteps(cmd, args, to)
}
