package dataset

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"eyrie/artifacts"
	"eyrie/nas/data"
	"eyrie/nas/data/picture"
	"eyrie/pipeline"
)

// readTree makes a set of an ImageFolder or WebDataset tree. It returns what it left out:
// corrupt images, and other files.
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
	read := treePart.survey
	if c.Prepare != nil {
		read = treePart.prepare
	}
	trainPart, stats, corrupt, err := read(train, ctx, task, c)
	if err != nil {
		return set, nil, left, err
	}
	testPart, _, more, err := read(test, ctx, task, c)
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

// pick returns the images that are kept of the part, and their names.
func (p treePart) pick() (ix data.Index, names []string) {
	n := len(p.index.Records)
	ix = p.index.Keep(func(i int) bool {
		keep := picked(i, n, p.limit)
		if keep {
			names = append(names, p.names[i])
		}
		return keep
	})
	return ix, names
}

// survey decodes the part's images and writes the index of the sound ones.
func (p treePart) survey(ctx context.Context, task *pipeline.Task, c Config) (part data.Part, stats data.Stats, corrupt []string, err error) {
	ix, names := p.pick()
	o := data.SurveyOptions{Threads: task.CPUs(), Digests: c.Keep == referenced, Report: func(done int) {
		task.Report(pipeline.Progress{Done: float64(done), Total: float64(len(names)), Unit: "images", Note: "checking " + p.name})
	}}
	found, err := data.Survey(ctx, ix, c.Path.Path, o)
	if err != nil {
		return part, stats, nil, err
	}
	if corrupt, err = p.judge(task, c, found, names); err != nil {
		return part, stats, nil, err
	}
	ix = ix.Keep(func(i int) bool { return !found.IsCorrupt(i) })
	part, err = p.write(task, ix, *c.Path)
	if err != nil || c.Keep != referenced {
		return part, found.Stats, corrupt, err
	}
	part.Digests, err = writeFile(task, p.name+".digests", ix.Digests())
	return part, found.Stats, corrupt, err
}

// prepare makes the part's images smaller and writes the index of the sound ones.
func (p treePart) prepare(ctx context.Context, task *pipeline.Task, c Config) (part data.Part, stats data.Stats, corrupt []string, err error) {
	ix, names := p.pick()
	o := data.SurveyOptions{Threads: task.CPUs(), Report: func(done int) {
		task.Report(pipeline.Progress{Done: float64(done), Total: float64(len(names)), Unit: "images", Note: "preparing " + p.name})
	}}
	shards, notes := task.Path(p.name), task.Path(p.name+".notes")
	if dir := task.Checkpoint(); dir != "" {
		shards, notes = filepath.Join(dir, p.name), filepath.Join(dir, p.name+".notes")
	}
	ix, found, err := data.Prepare(ctx, ix, c.Path.Path, shards, notes, *c.Prepare, o)
	if err != nil {
		return part, stats, nil, err
	}
	if corrupt, err = p.judge(task, c, found, names); err != nil {
		return part, stats, nil, err
	}
	// In the work directory the shards may be moved into the store; elsewhere they are copied.
	if to := task.Path(p.name); to != shards && os.Rename(shards, to) == nil {
		shards = to
	}
	part, err = p.write(task, ix, artifacts.Local(shards))
	return part, found.Stats, corrupt, err
}

// judge logs what was found, and returns the corrupt images, each with the reason; or an error
// where they may not be left out.
func (p treePart) judge(task *pipeline.Task, c Config, found data.Findings, names []string) (corrupt []string, err error) {
	if n := len(found.Clipped); n > 0 {
		var first []string
		for _, i := range found.Clipped[:min(3, n)] {
			first = append(first, names[i])
		}
		task.Log().Warn().Int("images", n).Strs("first", first).Msg(`grey above 255 became white, as in Pillow: sixteen_bit = "scaled" keeps the upper 8 of 16 bits`)
	}
	for _, b := range found.Corrupt {
		corrupt = append(corrupt, fmt.Sprintf("%s: %v", names[b.Image], b.Err))
		task.Log().Warn().Str("image", names[b.Image]).Err(b.Err).Msg("corrupt image")
	}
	switch n := len(corrupt); {
	case n > 0 && c.Corrupt != skip:
		return nil, fmt.Errorf(`%d of %d %s images are corrupt; the first is %s (corrupt = "skip" goes on without them)`, n, len(names), p.name, corrupt[0])
	case n == len(names):
		return nil, fmt.Errorf("all %d %s images are corrupt; the first is %s", n, p.name, corrupt[0])
	}
	return corrupt, nil
}

// write writes the index of the part, whose images are in data.
func (p treePart) write(task *pipeline.Task, ix data.Index, images artifacts.File) (data.Part, error) {
	index, err := writeFile(task, p.name+".index", ix.Marshal())
	if err != nil {
		return data.Part{}, err
	}
	return data.Part{Count: len(ix.Records), Index: *index, Data: images}, nil
}

// writeFile writes a file of the output.
func writeFile(task *pipeline.Task, name string, b []byte) (*artifacts.File, error) {
	f := artifacts.Local(task.Path(name))
	return &f, os.WriteFile(f.Path, b, 0o666)
}
