package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"eyrie/artifacts/team"
	"eyrie/cmd/runner/internal/view"
	"eyrie/nas/unit"
)

// cacheDays is how long a cache keeps what nobody uses, unless somebody says otherwise.
const cacheDays = 60

// collectedCacheJSON is what gc --cache removes, or would remove.
type collectedCacheJSON struct {
	Cache   string `json:"cache"`
	Removed bool   `json:"removed"`
	Results int    `json:"results"` // that could go
	Files   int    `json:"files"`
	Uploads int    `json:"uploads,omitempty"` // that nobody has finished
	Size    int64  `json:"size"`              // bytes, of what could go
	Total   int64  `json:"total"`             // bytes, of all
}

// runCache collects what nobody uses of a cache.
func (c *collector) runCache(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return invalidf("gc --cache takes no recipe: what a cache keeps goes by when it was used")
	}
	if !cmd.Flags().Changed("days") {
		c.days = cacheDays
	}
	source, err := c.source()
	if err != nil {
		return err
	}
	if c.yes && !source.Write {
		return invalidf("cache %q has mode = \"read\": nothing can be removed from it", c.cache)
	}
	return c.collectCache(cmd.Context(), source)
}

// source returns the cache that was named.
func (c *collector) source() (team.Source, error) {
	s, err := c.loadSite(".")
	if err != nil {
		return team.Source{}, err
	}
	var known []string
	if s != nil {
		all, err := sources(s)
		if err != nil {
			return team.Source{}, err
		}
		for _, source := range all {
			if source.Name == c.cache {
				return source, nil
			}
			known = append(known, source.Name)
		}
	}
	return team.Source{}, invalidf("--cache %q: the site file has no such cache%s; see runner site", c.cache, didYouMean(c.cache, known))
}

func (c *collector) collectCache(ctx context.Context, source team.Source) error {
	done := busy(c.hint, "looking through the cache …")
	now := time.Now()
	g, err := team.FindGarbage(ctx, source, now, now.Add(-time.Duration(c.days)*24*time.Hour))
	if err == nil && c.yes {
		err = g.Remove(ctx)
	}
	done()
	if err != nil {
		return fmt.Errorf("cache %q: %w", c.cache, err)
	}
	doc := collectedCacheJSON{Cache: c.cache, Removed: c.yes, Results: len(g.Records), Files: len(g.Objects) + len(g.Jobs), Uploads: len(g.Uploads), Size: g.Size(), Total: g.Total}
	if c.json {
		return c.print("collected", doc)
	}
	what := fmt.Sprintf("%s, %s", view.Count(doc.Results, "result"), view.Count(doc.Files, "file"))
	if doc.Uploads > 0 {
		what += ", and the parts of " + view.Count(doc.Uploads, "upload") + " that nobody has finished, of a size that the server does not tell"
	}
	if g.Unlisted != nil {
		c.hint(fmt.Sprintf("uploads that nobody has finished are not looked for: %v", g.Unlisted))
	}
	switch {
	case doc.Results+doc.Files+doc.Uploads == 0:
		say(c.out, "nothing to free: all of %s was used in the last %d days", unit.Bytes(doc.Total), c.days)
	case c.yes:
		say(c.out, "freed %s of %s: %s", unit.Bytes(doc.Size), unit.Bytes(doc.Total), what)
	default:
		days := ""
		if c.days != cacheDays {
			days = fmt.Sprintf(" --days %d", c.days)
		}
		say(c.out, "%s of %s could be freed: %s\nnothing was removed: gc --cache %s%s --yes removes it", unit.Bytes(doc.Size), unit.Bytes(doc.Total), what, c.cache, days)
	}
	return nil
}
