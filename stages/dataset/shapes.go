package dataset

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"eyrie/nas/data"
	"eyrie/pipeline"
)

// How large shapes are and how many there are where the recipe does not say.
const (
	shapeSize  = 32
	shapeTrain = 6000
	shapeTest  = 1200
)

// drawShapes draws the shapes set. Test images are those after the training
// images of the same seed.
func drawShapes(ctx context.Context, task *pipeline.Task, c Config) (data.Set, error) {
	g := data.Shapes{Seed: uint64(c.Seed), Size: cmp.Or(c.Size, shapeSize), Noise: 0.1}
	if c.Noise != nil {
		g.Noise = *c.Noise
	}
	names := data.ShapeClasses()
	set := data.Set{Classes: len(names), ClassNames: names, Channels: 3, Size: g.Size}
	train, test := cmp.Or(c.Train, shapeTrain), cmp.Or(c.Test, shapeTest)
	var stats data.Stats
	var err error
	if set.Train, stats, err = drawPart(ctx, task, g, "train", 0, train); err != nil {
		return set, err
	}
	if set.Test, _, err = drawPart(ctx, task, g, "test", testShapes, test); err != nil {
		return set, err
	}
	set.Mean, set.Std = stats.MeanStd()
	return set, nil
}

// testShapes is the number of the first test image: the test images are the
// same however many training images there are. A multiple of the classes.
const testShapes = 12 << 26

// drawPart draws the images first … first+n-1, a chunk at a time on all
// threads.
func drawPart(ctx context.Context, task *pipeline.Task, g data.Shapes, name string, first, n int) (part data.Part, stats data.Stats, err error) {
	w, err := data.Create(task.Path(name), g.Size, g.Size, 3, len(data.ShapeClasses()))
	if err != nil {
		return part, stats, err
	}
	defer w.Abort()
	size, threads := g.Size*g.Size*3, task.CPUs()
	chunk := max(threads, 1<<22/size) // images: some 4 MiB
	pixels, labels, errs := make([]byte, chunk*size), make([]int, chunk), make([]error, threads)
	for at := 0; at < n; at += chunk {
		m := min(chunk, n-at)
		var wg sync.WaitGroup
		for t := range threads {
			wg.Go(func() {
				for i := t; i < m; i += threads {
					labels[i], errs[t] = g.Draw(ctx, first+at+i, pixels[i*size:(i+1)*size])
					if errs[t] != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return part, stats, context.Cause(ctx)
		}
		for i := range m {
			if err := w.Add(pixels[i*size:(i+1)*size], labels[i]); err != nil {
				return part, stats, err
			}
		}
		task.Report(pipeline.Progress{Done: float64(at + m), Total: float64(n), Unit: "images", Note: "drawing " + name})
	}
	part, err = w.Close()
	return part, w.Stats, err
}
