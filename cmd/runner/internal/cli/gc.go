package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/hcl/site"
	"eyrie/nas/unit"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

// collector is one use of the command gc.
type collector struct {
	*app
	yes   bool
	days  int
	grace time.Duration
	cache string // the name of one of the site file's; "" for the store
}

// mostDays is more than a run can lie back, and as many as a time.Duration can still hold: of one
// more, what must stay would be what is still to come.
const mostDays = 100_000

func (a *app) gcCommand() *cobra.Command {
	c := &collector{app: a}
	cmd := &cobra.Command{
		Use:   "gc [RECIPE…]",
		Short: "Show what in the store nothing needs, and remove it with --yes",
		Long: `Show which results in the store nothing needs, the largest first, and remove them
with --yes.

What is needed is what these name: the recipes given, or else all *.hcl beside the store
(as they are now, with the variables given, and what their steps did last), the runs of the
last --days, runs that go on, and runs that are pinned. What somebody adopted stays, and so do
journals. Checkpoints, directories laid out for reading, and earlier copies of outputs go with
what they belong to.

It is safe beside a running run: what a run has found or made stays, and what it looks for
after it was removed it makes again.

With --cache it is about a cache of the site file: results that no run has used for --days (60
unless given), and files that belong to no result and are older than a day. A run that may
write to the cache renews what it uses; what others only read counts as used when it was
published.`,
		Example: `  runner gc                        what could go, of the store here
  runner gc --yes
  runner gc --days 0 --yes         also what only the runs of the last days need
  runner gc paper.hcl --var seeds=3 --yes
  runner gc --cache team --days 90   what could go, of a cache that a team shares`,
		ValidArgsFunction: completeRecipes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.days < 0 || c.days > mostDays {
				return invalidf("--days %d: want 0 to %d", c.days, mostDays)
			}
			if c.grace < time.Second {
				return invalidf("--grace %v: want at least 1s, in which a run notes what it has found", c.grace)
			}
			if c.cache != "" || cmd.Flags().Changed("cache") {
				return c.runCache(cmd, args)
			}
			return c.run(cmd.Context(), args)
		},
	}
	cmd.Flags().BoolVar(&c.yes, "yes", false, "remove it")
	cmd.Flags().IntVar(&c.days, "days", 7, "keep what the runs of the last `n` days need")
	cmd.Flags().DurationVar(&c.grace, "grace", time.Hour, "keep what was made or used so short ago, whatever made it")
	cmd.Flags().StringVar(&c.cache, "cache", "", "look through the `cache` of this name in the site file instead")
	return cmd
}

func (c *collector) run(ctx context.Context, args []string) error {
	defer busy(c.hint, "looking through the store …")()
	kept, recipes, err := c.openFor(args)
	if err != nil {
		return err
	}
	defer kept.Close()
	planned, err := c.planned(ctx, kept, recipes)
	if err != nil {
		return err
	}
	needs := func() (store.Needed, error) { return c.needs(kept, planned) }
	v, err := kept.Inventory(ctx)
	if err != nil {
		return err
	}
	if c.yes {
		gone, err := kept.Collect(ctx, v, needs)
		if err != nil && len(gone) == 0 {
			return notWritten(err)
		}
		return c.report(v, gone, err)
	}
	n, err := needs()
	if err != nil {
		return err
	}
	return c.report(v, kept.Garbage(v, n), nil)
}

// notWritten says that a command could not change the store.
func notWritten(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return fmt.Errorf("nothing was changed, as the store cannot be written: %w", err)
	}
	return err
}

// openFor opens the store that goes with the recipes on the command line, or the one here with
// the recipes beside it.
func (a *app) openFor(args []string) (*store.Store, []string, error) {
	dir := a.storeDir(".")
	if len(args) > 0 {
		dir = a.storeDir(args[0])
	}
	for _, path := range args {
		if other := a.storeDir(path); other != dir {
			return nil, nil, invalidf("%s and %s have stores of their own, %s and %s: name one with --store", args[0], path, dir, other)
		}
	}
	if len(args) == 0 {
		args, _ = filepath.Glob(filepath.Join(filepath.Dir(filepath.Clean(dir)), "*.hcl"))
		args = slices.DeleteFunc(args, func(path string) bool { return filepath.Base(path) == site.Name })
	}
	if len(args) == 0 {
		return nil, nil, invalidf("there is no recipe beside the store %s: name those whose results are needed", dir)
	}
	kept, err := store.Open(dir)
	return kept, args, err
}

// planned returns what the recipes need: what they find now, and what their steps did last.
func (c *collector) planned(ctx context.Context, kept *store.Store, recipes []string) ([]artifacts.ActionID, error) {
	var all []artifacts.ActionID
	for _, path := range recipes {
		recipe, err := c.load(path)
		if err != nil {
			return nil, err
		}
		plan, err := c.plan(ctx, recipe, kept, pipeline.PlanOptions{})
		if err != nil {
			return nil, err
		}
		for _, s := range plan.Steps {
			all = append(all, s.Action)
			if last, err := kept.Last(recipe.LastName(s.ID)); err == nil { // its result may be needed by those that are known later
				all = append(all, last)
			}
		}
	}
	return all, nil
}

// needs adds what runs need: those that go on, or ended a moment ago, those of the last days,
// and those that are pinned.
func (c *collector) needs(kept *store.Store, planned []artifacts.ActionID) (store.Needed, error) {
	now := time.Now()
	n := store.Needed{Actions: map[artifacts.ActionID]bool{}, Since: now.Add(-c.grace)}
	for _, id := range planned {
		n.Actions[id] = true
	}
	pinned, err := kept.Pinned()
	if err != nil {
		return n, err
	}
	since := now.Add(-max(c.grace, time.Duration(c.days)*24*time.Hour))
	runs, err := history.List(kept, "")
	if err != nil {
		return n, err
	}
	for sum := range runs {
		if sum.Status != history.Running && sum.Ended.Before(since) && !pinned[sum.ID] {
			continue
		}
		run, err := history.Read(kept, sum.ID)
		if err != nil {
			return n, err
		}
		for _, s := range run.Steps {
			n.Actions[s.Action] = true
		}
	}
	return n, nil
}

// mostListed is how many things are listed one by one.
const mostListed = 20

// collectedJSON is what gc removes, or would remove.
type collectedJSON struct {
	Removed bool       `json:"removed"`
	Size    int64      `json:"size"`  // bytes
	Total   int64      `json:"total"` // bytes, of all that was in the store
	Items   []keptJSON `json:"items"`
}

// keptJSON is a thing in the store.
type keptJSON struct {
	Kind   store.Kind `json:"kind"`
	Path   string     `json:"path"` // in the store
	Size   int64      `json:"size"` // bytes
	Step   string     `json:"step,omitempty"`
	Run    string     `json:"run,omitempty"`
	Action string     `json:"action,omitempty"`
}

func newKeptJSON(k *store.Kept) keptJSON {
	j := keptJSON{Kind: k.Kind, Path: k.Path, Size: k.Size, Step: k.Step, Run: k.Run}
	if !k.Action.IsZero() {
		j.Action = k.Action.String()
	}
	return j
}

// report tells what was removed, or could be.
func (c *collector) report(v *store.Inventory, all []*store.Kept, failed error) error {
	var size, total int64
	for k := range v.All {
		total += k.Size
	}
	for _, k := range all {
		size += k.Size
	}
	if c.json {
		doc := collectedJSON{Removed: c.yes, Size: size, Total: total, Items: make([]keptJSON, len(all))}
		for i, k := range all {
			doc.Items[i] = newKeptJSON(k)
		}
		_ = c.print("collected", doc)
		return failed
	}
	c.list(all)
	switch {
	case len(all) == 0:
		say(c.out, "nothing to free: all of %s is needed", unit.Bytes(total))
	case c.yes:
		say(c.out, "freed %s of %s: %s", unit.Bytes(size), unit.Bytes(total), kindsText(all))
	default:
		say(c.out, "%s of %s could be freed: %s\nnothing was removed: gc --yes removes it", unit.Bytes(size), unit.Bytes(total), kindsText(all))
	}
	return failed
}

// list prints the largest things and, where there are more, what each step has of all.
func (c *collector) list(all []*store.Kept) {
	if len(all) == 0 {
		return
	}
	rows := [][]string{{"SIZE", "STEP", "RUN", "PATH"}}
	for _, k := range all[:min(len(all), mostListed)] {
		rows = append(rows, []string{unit.Bytes(k.Size), k.Step, k.Run, k.Path})
	}
	c.table(rows, 0)
	if rest := all[min(len(all), mostListed):]; len(rest) > 0 {
		var size int64
		for _, k := range rest {
			size += k.Size
		}
		say(c.out, "and %s more, %s", humanize.Comma(int64(len(rest))), unit.Bytes(size))
	}
	say(c.out, "")
	rows = [][]string{{"SIZE", "THINGS", "STEP"}}
	totals := totalsBy(all, func(k *store.Kept) string { return pipeline.BlockOf(k.Step) })
	for _, t := range totals[:min(len(totals), mostListed)] {
		rows = append(rows, []string{unit.Bytes(t.Size), humanize.Comma(int64(t.Things)), t.Name})
	}
	c.table(rows, 0)
	say(c.out, "")
}

// total is what things of one name have together.
type total struct {
	Name   string `json:"name"` // "" for what has none
	Things int    `json:"things"`
	Size   int64  `json:"size"` // bytes
}

// totalsBy adds things up by a name, the largest first.
func totalsBy(all []*store.Kept, name func(*store.Kept) string) []total {
	by := map[string]*total{}
	for _, k := range all {
		t := by[name(k)]
		if t == nil {
			t = &total{Name: name(k)}
			by[t.Name] = t
		}
		t.Things++
		t.Size += k.Size
	}
	totals := make([]total, 0, len(by))
	for _, t := range by {
		totals = append(totals, *t)
	}
	slices.SortFunc(totals, func(a, b total) int {
		if a.Size != b.Size {
			return int(max(-1, min(1, b.Size-a.Size)))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return totals
}

// kindsText counts things by their kind: "3 results, 12 files".
func kindsText(all []*store.Kept) string {
	count := make(map[store.Kind]int)
	for _, k := range all {
		count[k.Kind]++
	}
	var parts []string
	for _, noun := range []struct {
		kind      store.Kind
		one, many string
	}{
		{store.Records, "result", "results"}, {store.Objects, "file", "files"}, {store.Trees, "directory laid out", "directories laid out"},
		{store.Checkpoints, "checkpoint", "checkpoints"}, {store.Outputs, "earlier output", "earlier outputs"},
		{store.Outside, "note of where a tree lies", "notes of where trees lie"},
		{store.Quarantined, "thing in quarantine", "things in quarantine"}, {store.Jobs, "batch of jobs", "batches of jobs"},
	} {
		switch n := count[noun.kind]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+noun.one)
		default:
			parts = append(parts, humanize.Comma(int64(n))+" "+noun.many)
		}
	}
	return strings.Join(parts, ", ")
}
