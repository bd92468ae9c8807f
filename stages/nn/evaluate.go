package nn

import (
	"context"
	"fmt"

	"eyrie/stages/arch"
	"eyrie/stages/data"
)

// Evaluator measures subnets of a supernet with the shared weights. For each it
// estimates the statistics of batch normalisation anew, as Once-for-All does,
// folds them into the convolutions, and runs the images.
type Evaluator struct {
	runner
	calibration *data.Split
	images      *data.Split
	batch       int
	cached      map[cacheKey][]*data.Batch
	size        int // bytes in cached
	folded      *Model
	sums        []float64
}

type cacheKey struct {
	split      *data.Split
	resolution int
}

// cacheBytes bounds how many decoded images an Evaluator keeps.
const cacheBytes = 512 << 20

// NewEvaluator returns an evaluator that takes the statistics from the images
// of calibration, in batches of so many, and measures on the images of images.
// The supernet must not be trained at the same time.
func NewEvaluator(e *Engine, s *Supernet, calibration, images *data.Split, batch int) *Evaluator {
	return &Evaluator{runner: runner{Engine: e, net: s}, calibration: calibration, images: images, batch: batch, cached: map[cacheKey][]*data.Batch{}}
}

// Accuracy returns the part of the images that the subnet classifies
// correctly.
func (v *Evaluator) Accuracy(ctx context.Context, n arch.Subnet) (float64, error) {
	if err := v.net.space.Contains(n); err != nil {
		return 0, fmt.Errorf("subnet %v: %w", n, err)
	}
	m, err := v.Model(ctx, n)
	if err != nil {
		return 0, err
	}
	correct := 0
	err = v.each(ctx, v.images, n.Resolution, func(b *data.Batch) { correct += m.Correct(b) })
	return float64(correct) / float64(v.images.Len()), err
}

// Model returns the subnet with newly estimated statistics. It is valid until
// the evaluator's next call.
func (v *Evaluator) Model(ctx context.Context, n arch.Subnet) (*Model, error) {
	if err := v.calibrate(ctx, n); err != nil {
		return nil, err
	}
	v.folded = v.model(v.folded)
	return v.folded, nil
}

// Calibrate stores the statistics of the largest subnet with the weights, as
// the running statistics of its layers.
func (v *Evaluator) Calibrate(ctx context.Context) error {
	if err := v.calibrate(ctx, v.net.space.Largest()); err != nil {
		return err
	}
	for _, l := range v.net.layers {
		copy(l.runMean, l.mean)
		copy(l.runVar, l.variance)
	}
	return nil
}

// calibrate binds the subnet and sets each layer's statistics to the mean of
// those of the calibration batches.
func (v *Evaluator) calibrate(ctx context.Context, n arch.Subnet) error {
	clear(v.sums)
	batches := 0
	err := v.each(ctx, v.calibration, n.Resolution, func(b *data.Batch) {
		v.pass(n, b, Loss{}, nil)
		batches++
		i := 0
		for _, l := range v.net.layers {
			if missing := i + 2*l.out - len(v.sums); missing > 0 {
				v.sums = append(v.sums, make([]float64, missing)...)
			}
			for c := range l.out {
				v.sums[i+2*c] += float64(l.mean[c])
				v.sums[i+2*c+1] += float64(l.variance[c])
			}
			i += 2 * l.out
		}
	})
	if err != nil {
		return err
	}
	i := 0
	for _, l := range v.net.layers {
		for c := range l.out {
			l.mean[c] = float32(v.sums[i+2*c] / float64(batches))
			l.variance[c] = float32(v.sums[i+2*c+1] / float64(batches))
		}
		l.affine()
		i += 2 * l.out
	}
	return nil
}

// each calls f with the images of a split in batches, from memory where they
// fit there.
func (v *Evaluator) each(ctx context.Context, split *data.Split, resolution int, f func(*data.Batch)) error {
	key := cacheKey{split, resolution}
	if batches, ok := v.cached[key]; ok {
		for _, b := range batches {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			f(b)
		}
		return nil
	}
	bytes := 4 * split.Len() * resolution * resolution * split.Channels()
	keep := v.size+bytes <= cacheBytes
	var kept []*data.Batch
	for b, err := range split.All(ctx, v.batch, data.View{Resolution: resolution}, v.threads) {
		if err != nil {
			return err
		}
		f(b)
		if keep {
			c := *b
			c.X, c.Labels = append([]float32(nil), b.X...), append([]int32(nil), b.Labels...)
			kept = append(kept, &c)
		}
	}
	if keep {
		v.cached[key], v.size = kept, v.size+bytes
	}
	return nil
}
