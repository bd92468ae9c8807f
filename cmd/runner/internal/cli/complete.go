package cli

import (
	"github.com/spf13/cobra"

	"eyrie/hcl"
)

// completeSteps completes the name of a step of the recipe that the command
// line already names.
func (a *app) completeSteps(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	recipe, _ := hcl.Load(args[0], hcl.Options{Stages: a.stages})
	if recipe == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, s := range recipe.Steps {
		ids = append(ids, s.ID)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeRecipeOnly completes a recipe, and nothing after it.
func completeRecipeOnly(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"hcl"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeRecipe completes a recipe, and then a step of it.
func (a *app) completeRecipe(cmd *cobra.Command, args []string, to string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"hcl"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return a.completeSteps(cmd, args, to)
}
