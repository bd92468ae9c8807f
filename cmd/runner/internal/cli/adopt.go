package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// adopter is one use of the command adopt.
type adopter struct {
	*app
	replace, undo bool
	note          string
}

func (a *app) adoptCommand() *cobra.Command {
	c := &adopter{app: a}
	cmd := &cobra.Command{
		Use:   "adopt RECIPE STEP NAME=FILE|NAME=JSON…",
		Short: "Take an existing file or value for a step's output",
		Long: `Take existing files and values for the outputs of a step, in place of running its stage:
weights that were trained elsewhere, numbers that somebody measured. Every output of the
stage must be given, as runner stages STAGE lists them: NAME=FILE for a file or a
directory, which is copied into the store, NAME=JSON for anything else.

The result is marked for ever. plan and show say that it was adopted, when and from where;
every number that comes from it has "adopted" for its provenance, and none looks
measured. gc keeps it.

It belongs to the step as the recipe has it now: with another attribute the step runs.
A result that the stage made is replaced only with --replace. --undo forgets what was
adopted, so that the step runs again.`,
		Example: `  runner adopt paper.hcl train weights=trained/w.bin accuracy=0.91
  runner adopt paper.hcl 'probe["a"]' latency=0.0021 --note "board 7, by hand"
  runner adopt paper.hcl train --undo`,
		ValidArgsFunction: a.completeRecipe,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("RECIPE", "STEP")(cmd, args)
			}
			if c.undo && (len(args) > 2 || c.replace) {
				return invalidf("adopt --undo takes a recipe and a step, and nothing else")
			}
			return c.run(cmd.Context(), args[0], args[1], args[2:])
		},
	}
	cmd.Flags().BoolVar(&c.replace, "replace", false, "also in place of a result that the stage made")
	cmd.Flags().BoolVar(&c.undo, "undo", false, "forget what was adopted")
	cmd.Flags().StringVar(&c.note, "note", "", "a `text` that is kept with the result")
	return cmd
}

func (c *adopter) run(ctx context.Context, path, name string, given []string) error {
	var step string
	plan, kept, err := c.prepareWith(ctx, path, c.hint, func(recipe *pipeline.Recipe, s *store.Store) (_ *pipeline.Plan, err error) {
		ids, err := stepsNamed(recipe, name)
		if err != nil {
			return nil, invalid(err)
		}
		if len(ids) > 1 {
			return nil, invalidf("%s are %d steps: name one, such as %s", name, len(ids), ids[0])
		}
		step = ids[0]
		return c.plan(ctx, recipe, s, pipeline.PlanOptions{Targets: ids})
	})
	if err != nil {
		return err
	}
	defer kept.Close()
	p := plan.Step(step)
	if c.undo {
		return c.forget(ctx, kept, p)
	}
	return c.adopt(ctx, kept, plan, p, given)
}

func (c *adopter) adopt(ctx context.Context, kept *store.Store, plan *pipeline.Plan, p *pipeline.Planned, given []string) error {
	values, from, err := c.values(ctx, kept, p.Stage, given)
	if err != nil {
		return err
	}
	v := buildVersion()
	as := store.Adopted{Time: time.Now().UTC(), Runner: strings.TrimSpace(v.Version + " " + v.Revision), From: from, Note: c.note}
	r, err := pipeline.Adopt(ctx, kept, p, values, as, c.replace)
	if errors.Is(err, pipeline.ErrHasResult) {
		return &exitError{exitNo, fmt.Errorf("step %s has a result that its stage made: --replace takes these in its place", p.ID)}
	} else if all := mistake.Of(err); len(all) > 0 && len(all[0].Path) > 0 {
		return c.refused(p.Stage, all)
	} else if err != nil {
		return notWritten(err)
	}
	if err := kept.SetLast(plan.Recipe.LastName(p.ID), p.Action); err != nil {
		return err
	}
	if c.json {
		return c.print("adopted", map[string]any{"step": p.ID, "action": p.Action.String(), "adopted": r.Adopted})
	}
	say(c.out, "%s is adopted (%s)", p.ID, view.Count(len(r.Objects), "file"))
	return nil
}

// refused names the outputs that were given wrongly.
func (c *adopter) refused(stage *pipeline.Stage, all mistake.List) error {
	lines := make([]string, len(all))
	for i, m := range all {
		lines[i] = strings.Replace(m.Error(), "there is no such attribute", "stage "+stage.Name+" has no such output", 1)
	}
	return invalidf("%s; see runner stages %s", strings.Join(lines, "; "), stage.Name)
}

// values reads NAME=FILE and NAME=JSON by what the stage's outputs are. from says where
// files came from.
func (c *adopter) values(ctx context.Context, kept *store.Store, stage *pipeline.Stage, given []string) (values map[string]any, from []string, err error) {
	values = map[string]any{}
	var names []string
	for _, f := range stage.Output.Fields {
		names = append(names, f.Name)
	}
	for _, arg := range given {
		name, text, ok := strings.Cut(arg, "=")
		f := stage.Output.Field(name)
		switch _, twice := values[name]; {
		case !ok || name == "":
			return nil, nil, invalidf("%q: want NAME=FILE or NAME=JSON", arg)
		case f == nil:
			return nil, nil, invalidf("stage %s has no output %q%s", stage.Name, name, whatThereIs(name, names))
		case twice:
			return nil, nil, invalidf("output %s is given twice", name)
		case f.Type.Kind == pipeline.File:
			file, err := kept.Hash(ctx, text)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil, invalidf("output %s: there is no file %s", name, text)
			} else if err != nil {
				return nil, nil, fmt.Errorf("output %s: %w", name, err)
			}
			file.Name = filepath.Base(text)
			if abs, err := filepath.Abs(text); err == nil {
				text = abs
			}
			values[name], from = file, append(from, name+"="+text)
		case f.Type.Holds(pipeline.File):
			return nil, nil, invalidf("output %s has files within it, which cannot be given here", name)
		default:
			if values[name], err = valueOf(f, text); err != nil {
				return nil, nil, err
			}
		}
	}
	slices.Sort(from)
	return values, from, nil
}

// valueOf reads the JSON of an output; text needs no quotes.
func valueOf(f *pipeline.Field, text string) (v any, err error) {
	if err := json.Unmarshal([]byte(text), &v); err == nil {
		if _, is := v.(string); is || f.Type.Kind != pipeline.String {
			return v, nil
		}
	}
	if f.Type.Kind == pipeline.String {
		return text, nil
	}
	return nil, invalidf("output %s=%s: want JSON of %s", f.Name, text, f.Type)
}

// forget takes an adopted result out of the store.
func (c *adopter) forget(ctx context.Context, kept *store.Store, p *pipeline.Planned) error {
	r, err := kept.Lookup(ctx, p.Action)
	if r.Adopted == nil {
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return &exitError{exitNo, fmt.Errorf("step %s has no adopted result as the recipe has it now", p.ID)}
	}
	if err := kept.Forget(ctx, p.Action); err != nil {
		return notWritten(err)
	}
	if c.json {
		return c.print("forgotten", map[string]any{"step": p.ID, "action": p.Action.String()})
	}
	say(c.out, "%s is no longer adopted: it runs again", p.ID)
	return nil
}
