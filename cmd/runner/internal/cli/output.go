package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/hcl"
	"eyrie/pipeline"
)

func (a *app) outputCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "output RECIPE [NAME]",
		Short: "Print the recipe's outputs, as the results in the store have them",
		Long: `Print the recipe's outputs, as the results in the store have them; nothing is run.

With a NAME, print that value alone: text as it is, a file as its path, anything
else as JSON, and a sensitive value in clear. Files are copied to outputs/RECIPE/ of
the store, under the output's name. With --json, "outputs" maps each name
to {"value", "type"}; a value that is not known yet is null, with the steps that it
waits for in "after".`,
		Args:              exactly("RECIPE", "[NAME]"),
		ValidArgsFunction: a.completeOutputs,
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, store, err := a.prepareWith(cmd.Context(), args[0], a.hint, func(recipe *pipeline.Recipe, store *store.Store) (_ *pipeline.Plan, err error) {
				var opt pipeline.PlanOptions
				if len(args) == 2 {
					if recipe, opt.Targets, err = only(recipe, args[1]); err != nil {
						return nil, err
					}
				}
				return a.plan(cmd.Context(), recipe, store, opt)
			})
			if err != nil {
				return err
			}
			defer store.Close()
			outputs, err := plan.Recipe.Values(plan.Outputs())
			if err != nil {
				return err
			}
			a.publisher(args[0], store).all(cmd.Context(), outputs)
			return a.output(cmd.Context(), store, args, outputs)
		},
	}
}

// only returns the recipe with one of its outputs, and the steps that this needs.
func only(recipe *pipeline.Recipe, name string) (*pipeline.Recipe, []string, error) {
	var names []string
	for _, o := range recipe.Outputs {
		if names = append(names, o.Name); o.Name != name {
			continue
		}
		r := *recipe
		if r.Outputs = []*pipeline.Output{o}; len(o.Deps) == 0 { // no targets would be all steps
			r.Steps = nil
		}
		return &r, o.Deps, nil
	}
	return nil, nil, invalidf("the recipe has no output %q%s", name, whatThereIs(name, names))
}

// output prints the outputs, or the one that args name.
func (a *app) output(ctx context.Context, store *store.Store, args []string, outputs []value) error {
	var missing []string // steps to run
	for _, o := range outputs {
		missing = append(missing, o.Unknown...)
	}
	var err error
	switch {
	case a.json:
		err = a.print("outputs", outputsDocument(ctx, store, outputs, true))
	case len(args) == 2 && len(missing) == 0:
		err = a.printValue(ctx, store, outputs[0].Value)
	case len(args) < 2:
		writeOutputs(a, outputs)
	}
	if err != nil || len(missing) == 0 {
		return err
	}
	if a.json {
		return reported(exitNo)
	}
	slices.Sort(missing)
	return &exitError{exitNo, fmt.Errorf("not known before %s has run: runner run %s",
		view.Few(slices.Compact(missing), ", "), strings.Join(args[:1], " "))}
}

// writeOutputs lists the outputs, a line each.
func writeOutputs(a *app, outputs []value) {
	var names []string
	for _, o := range outputs {
		names = append(names, o.Name)
	}
	width := view.Width(40, names...)
	for _, o := range outputs {
		text := "(sensitive)"
		switch {
		case len(o.Unknown) > 0:
			text = "(known after " + view.Few(o.Unknown, ", ") + ")"
		case !o.Sensitive:
			text = brief(o.Value, max(20, a.columns()-width-3))
		}
		say(a.out, "%s = %s", a.style(a.out).Bold(view.Pad(o.Name, width)), text)
	}
}

// printValue prints a value by itself, for a shell.
func (a *app) printValue(ctx context.Context, store *store.Store, v any) error {
	switch v := plain(ctx, store, v).(type) {
	case string:
		say(a.out, "%s", strings.TrimSuffix(v, "\n"))
		return nil
	case map[string]any:
		if path, ok := v["path"].(string); ok && v["$object"] != nil {
			say(a.out, "%s", path)
			return nil
		}
		return a.printIndented(v)
	default:
		return a.printIndented(v)
	}
}

func (a *app) printIndented(v any) error {
	text, err := indented(v)
	if err == nil {
		say(a.out, "%s", text)
	}
	return err
}

// outputsJSON are the recipe's outputs for programs.
type outputsJSON struct {
	Run     string                `json:"run,omitempty"` // the run that has just ended
	Outputs map[string]outputJSON `json:"outputs"`
}

type outputJSON struct {
	Value     any      `json:"value"`
	Type      string   `json:"type"`
	Sensitive bool     `json:"sensitive,omitempty"`
	After     []string `json:"after,omitempty"` // the steps that must run before the value is known
}

// outputsDocument returns the outputs for programs. Clear says that sensitive
// values were asked for; else they are null.
func outputsDocument(ctx context.Context, store *store.Store, outputs []value, clear bool) outputsJSON {
	doc := outputsJSON{Outputs: make(map[string]outputJSON, len(outputs))}
	for _, o := range outputs {
		j := outputJSON{Type: o.Type, Sensitive: o.Sensitive, After: o.Unknown}
		if o.Sensitive && !clear {
			j.Type = "any" // an object's names may be the secret
		} else if len(o.Unknown) == 0 {
			j.Value = plain(ctx, store, o.Value)
		}
		doc.Outputs[o.Name] = j
	}
	return doc
}

// completeOutputs completes a recipe, and then the name of an output.
func (a *app) completeOutputs(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"hcl"}, cobra.ShellCompDirectiveFilterFileExt
	}
	recipe, _ := hcl.Load(args[0], hcl.Options{Stages: a.stages})
	if recipe == nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, o := range recipe.Outputs {
		names = append(names, o.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
