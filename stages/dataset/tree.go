package dataset

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"eyrie/artifacts"
	"eyrie/nas/data"
	"eyrie/nas/data/picture"
	"eyrie/pipeline"
)

// readTree makes a set of an ImageFolder or WebDataset tree, whose images stay
// where they are. It returns what it left out: corrupt images, and other files.
func readTree(ctx context.Context, task *pipeline.Task, c Config) (set data.Set, corrupt []string, left data.LeftOut, err error) {
	list := data.ListFolder
	if c.Source == tars {
		list = data.ListShards
	}
	channels := cmp.Or(c.Channels, 3)
	l, err := list(ctx, c.Path.Path, channels, picture.Reading{
		Orientation: cmp.Or(c.Orientation, picture.Upright),
		SixteenBit:  cmp.Or(c.SixteenBit, picture.Clipped),
	})
	if err != nil && ctx.Err() != nil {
		return set, nil, left, context.Cause(ctx)
	} else if err != nil {
		return set, nil, left, pipeline.Badf("path", "%s: %w", c.Path.Path, err)
	}
	if l.LeftOut.Count > 0 {
		task.Log().Warn().Int("files", l.LeftOut.Count).Strs("first", l.LeftOut.Names[:min(3, len(l.LeftOut.Names))]).Msg("left out")
	}
	if none := l.Untaught(); len(none) > 0 {
		task.Log().Warn().Int("classes", len(none)).Str("first", none[0]).Msg("no training images: are the labels numbered from 0?")
	}
	set = data.Set{Classes: len(l.ClassNames), ClassNames: l.ClassNames, Channels: channels}
	train := treePart{"train", l.Train, l.TrainNames, c.Train}
	test := treePart{"test", l.Test, l.TestNames, c.Test}
	trainPart, stats, corrupt, err := train.survey(ctx, task, c)
	if err != nil {
		return set, nil, left, err
	}
	testPart, _, more, err := test.survey(ctx, task, c)
	if err != nil {
		return set, nil, left, err
	}
	set.Train, set.Test = trainPart, testPart
	set.Mean, set.Std = stats.MeanStd()
	return set, append(corrupt, more...), l.LeftOut, nil
}

// treePart is one part of a tree as it was listed.
type treePart struct {
	name  string
	index data.Index
	names []string // of the images, for people
	limit int
}

// survey decodes the part's images and writes the index of the sound ones.
func (p treePart) survey(ctx context.Context, task *pipeline.Task, c Config) (part data.Part, stats data.Stats, corrupt []string, err error) {
	n := len(p.index.Records)
	var names []string
	ix := p.index.Keep(func(i int) bool {
		keep := picked(i, n, p.limit)
		if keep {
			names = append(names, p.names[i])
		}
		return keep
	})
	report := func(done int) {
		task.Report(pipeline.Progress{Done: float64(done), Total: float64(len(names)), Unit: "images", Note: "checking " + p.name})
	}
	found, err := data.Survey(ctx, ix, c.Path.Path, task.CPUs(), report)
	stats, bad := found.Stats, found.Corrupt
	if err != nil {
		return part, stats, nil, err
	}
	if n := len(found.Clipped); n > 0 {
		var first []string
		for _, i := range found.Clipped[:min(3, n)] {
			first = append(first, names[i])
		}
		task.Log().Warn().Int("images", n).Strs("first", first).Msg(`grey above 255 became white, as in Pillow: sixteen_bit = "scaled" keeps the upper 8 of 16 bits`)
	}
	broken := make(map[int]bool)
	for _, b := range bad {
		broken[b.Image] = true
		corrupt = append(corrupt, fmt.Sprintf("%s: %v", names[b.Image], b.Err))
		task.Log().Warn().Str("image", names[b.Image]).Err(b.Err).Msg("corrupt image")
	}
	if len(bad) > 0 && c.Corrupt != skip {
		return part, stats, nil, fmt.Errorf(`%d of %d %s images are corrupt; the first is %s (corrupt = "skip" goes on without them)`, len(bad), len(names), p.name, corrupt[0])
	}
	if len(bad) == len(names) {
		return part, stats, nil, fmt.Errorf("all %d %s images are corrupt; the first is %s", len(names), p.name, corrupt[0])
	}
	ix = ix.Keep(func(i int) bool { return !broken[i] })
	path := task.Path(p.name + ".index")
	if err := os.WriteFile(path, ix.Marshal(), 0o666); err != nil {
		return part, stats, nil, err
	}
	return data.Part{Count: len(ix.Records), Index: artifacts.Local(path), Data: *c.Path}, stats, corrupt, nil
}
