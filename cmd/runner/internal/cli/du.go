package cli

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/nas/unit"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

func (a *app) duCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "du [RECIPE]",
		Short: "Show what the store holds, by kind, recipe and step",
		Long: `Show how much of the disk the store takes: by kind, by the recipe whose run made it, and by
step, the largest first. An object that several results share counts once, for the one that
was made first; files laid out in a tree are its objects and do not count again.`,
		Args:              exactly("[RECIPE]"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			defer busy(a.hint, "looking through the store …")()
			kept, err := a.past(strings.Join(args, ""))
			if err != nil {
				return err
			}
			defer kept.Close()
			v, err := kept.Inventory(cmd.Context())
			if err != nil {
				return err
			}
			doc, err := usageOf(kept.Store, kept.dir, v)
			if err != nil {
				return err
			}
			if a.json {
				return a.print("usage", doc)
			}
			a.writeUsage(doc)
			return nil
		},
	}
}

// usageJSON is what a store takes.
type usageJSON struct {
	Store   string  `json:"store"`
	Size    int64   `json:"size"` // bytes
	Kinds   []total `json:"kinds"`
	Recipes []total `json:"recipes"`
	Steps   []total `json:"steps"`
}

func usageOf(kept *store.Store, dir string, v *store.Inventory) (usageJSON, error) {
	doc := usageJSON{Store: dir}
	recipes := map[string]string{} // by run
	runs, err := history.List(kept, "")
	if err != nil {
		return doc, err
	}
	for r := range runs {
		recipes[r.ID] = r.Recipe
	}
	all := slices.Collect(v.All)
	for _, k := range all {
		doc.Size += k.Size
	}
	doc.Kinds = totalsBy(all, func(k *store.Kept) string { return string(k.Kind) })
	doc.Recipes = totalsBy(all, func(k *store.Kept) string {
		if k.Kind == store.Outputs {
			return filepath.Base(filepath.Dir(k.Path))
		}
		return recipes[k.Run]
	})
	doc.Steps = totalsBy(all, func(k *store.Kept) string { return pipeline.BlockOf(k.Step) })
	return doc, nil
}

func (a *app) writeUsage(doc usageJSON) {
	for _, part := range []struct {
		title, none string
		totals      []total
	}{{"KIND", "", doc.Kinds}, {"RECIPE", "(of no run that has a journal)", doc.Recipes}, {"STEP", "(of no step)", doc.Steps}} {
		rows := [][]string{{"SIZE", "THINGS", part.title}}
		for _, t := range part.totals[:min(len(part.totals), mostListed)] {
			if t.Name == "" {
				t.Name = part.none
			}
			rows = append(rows, []string{unit.Bytes(t.Size), humanize.Comma(int64(t.Things)), t.Name})
		}
		a.table(rows, 0)
		if n := len(part.totals) - mostListed; n > 0 {
			say(a.out, "and %s more", humanize.Comma(int64(n)))
		}
		say(a.out, "")
	}
	say(a.out, "%s: %s", doc.Store, unit.Bytes(doc.Size))
}
