package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
)

func (a *app) pinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pin RECIPE [RUN [NAME]]",
		Short: "Keep a run's results from gc, or list the runs that are kept",
		Long: `Keep the results of a run, whatever gc finds that nothing else needs, and call it NAME if
one is given. Without a run, list those that are pinned, of all recipes of the store.

` + runHelp,
		Example: `  runner pin paper.hcl last "submitted version"
  runner pin paper.hcl
  runner unpin paper.hcl last`,
		Args:              exactly("RECIPE", "[RUN]", "[NAME]"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(_ *cobra.Command, args []string) error {
			kept, err := a.past(args[0])
			if err != nil {
				return err
			}
			defer kept.Close()
			if len(args) == 1 {
				return a.listPins(kept.Store)
			}
			run, err := kept.named(args[1])
			if err != nil {
				return err
			}
			pin := store.Pin{Run: run, Time: time.Now().UTC()}
			if len(args) > 2 {
				pin.Name = args[2]
			}
			if err := kept.Pin(pin); err != nil {
				return notWritten(err)
			}
			if a.json {
				return a.print("pinned", pin)
			}
			say(a.out, "run %s is pinned", run)
			return nil
		},
	}
}

func (a *app) unpinCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "unpin RECIPE RUN",
		Short:             "Let gc remove a run's results again",
		Long:              "Take back what pin did.\n\n" + runHelp,
		Args:              exactly("RECIPE", "RUN"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(_ *cobra.Command, args []string) error {
			kept, err := a.past(args[0])
			if err != nil {
				return err
			}
			defer kept.Close()
			run, err := kept.named(args[1])
			if err != nil {
				return err
			}
			if err := kept.Unpin(run); errors.Is(err, store.ErrNotFound) {
				return invalidf("run %s is not pinned", run)
			} else if err != nil {
				return notWritten(err)
			}
			if a.json {
				return a.print("unpinned", store.Pin{Run: run})
			}
			say(a.out, "run %s is no longer pinned", run)
			return nil
		},
	}
}

func (a *app) listPins(kept *store.Store) error {
	pins, err := kept.Pins()
	if err != nil {
		return err
	}
	if a.json {
		if pins == nil {
			pins = []store.Pin{}
		}
		return a.print("pins", map[string]any{"pins": pins})
	}
	if len(pins) == 0 {
		say(a.out, "no run is pinned")
		return nil
	}
	rows := [][]string{{"RUN", "PINNED", "NAME"}}
	for _, p := range pins {
		rows = append(rows, []string{p.Run, p.Time.Local().Format(time.DateTime), p.Name})
	}
	a.table(rows)
	return nil
}
