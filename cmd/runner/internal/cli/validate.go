package cli

import (
	"github.com/spf13/cobra"

	"eyrie/cmd/runner/internal/view"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "validate RECIPE",
		Short:             "Check a recipe without running anything or looking at results",
		Args:              exactly("RECIPE"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(_ *cobra.Command, args []string) error {
			recipe, err := a.load(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.print("valid", struct {
					Recipe  string `json:"recipe"`
					Valid   bool   `json:"valid"`
					Steps   int    `json:"steps"`
					Outputs int    `json:"outputs"`
				}{recipe.Name, true, len(recipe.Steps), len(recipe.Outputs)})
			}
			say(a.out, "%s is valid: %s, %s", args[0],
				view.Count(len(recipe.Steps), "step"), view.Count(len(recipe.Outputs), "output"))
			return nil
		},
	}
}
