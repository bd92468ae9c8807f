package nn

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/data"
)

// Evaluator measures subnets of a supernet with the shared weights. For each it
// estimates the statistics of batch normalisation anew, as Once-for-All does,
// folds them into the convolutions, and runs the images.
//
// An Evaluator is for one goroutine. Several of one supernet may run at the same
// time, each on an Engine of its own.
type Evaluator struct {
	runner
	calibration *data.Split
	images      *data.Split
	batch       int
	cached      map[cacheKey][]*data.Batch
	size        int // bytes in cached
	folded      []*Model
	sums        [][]float64 // of each subnet, by layer and channel: means and variances
}

// ErrNotFinite reports a subnet whose outputs are NaN or infinite for some image, so that
// it has no accuracy.
var ErrNotFinite = errors.New("its outputs are not finite numbers: the weights are too large, or the training diverged")

type cacheKey struct {
	split      *data.Split
	resolution int
}

// cacheBytes bounds how many decoded images an Evaluator keeps.
const cacheBytes = 512 << 20

// NewEvaluator returns an evaluator that takes the statistics from the calibration
// images, batch at a time, and measures on images. The weights must not change while it runs.
func NewEvaluator(e *Engine, s *Supernet, calibration, images *data.Split, batch int) *Evaluator {
	return &Evaluator{runner: newRunner(e, s, nil), calibration: calibration, images: images, batch: batch, cached: map[cacheKey][]*data.Batch{}}
}

// Accuracy returns the part of the images that the subnet classifies
// correctly.
func (v *Evaluator) Accuracy(ctx context.Context, n arch.Subnet) (top1 float64, err error) {
	err = v.Accuracies(ctx, []arch.Subnet{n}, func(_ int, t float64) error {
		top1 = t
		return nil
	})
	return top1, err
}

// Accuracies calls done with the index and the accuracy of each subnet, in an order
// of its own: subnets that begin with the same blocks run together, and what they
// share runs once.
func (v *Evaluator) Accuracies(ctx context.Context, ns []arch.Subnet, done func(i int, top1 float64) error) error {
	for _, n := range ns {
		if err := v.net.space.Contains(n); err != nil {
			return fmt.Errorf("subnet %v: %w", n, err)
		}
	}
	order := make([]int, len(ns))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return byPrefix(ns[i], ns[j]) })
	for len(order) > 0 {
		some := order[:min(len(order), v.together())]
		for i := range some {
			if ns[some[i]].Resolution != ns[some[0]].Resolution {
				some = some[:i]
				break
			}
		}
		order = order[len(some):]
		group := make([]arch.Subnet, len(some))
		for i, at := range some {
			group[i] = ns[at]
		}
		correct, err := v.correct(ctx, group)
		if err != nil {
			return err
		}
		for i, at := range some {
			if err := done(at, float64(correct[i])/float64(v.images.Len())); err != nil {
				return err
			}
		}
	}
	return nil
}

// together returns how many subnets may run together: an interruption loses what was
// done of them, and their weights, at most 16 MiB, are to stay in the cache.
func (v *Evaluator) together() int { return max(1, min(8, (4<<20)/v.net.Params())) }

// correct returns how many images each of the subnets, of one resolution,
// classifies correctly.
func (v *Evaluator) correct(ctx context.Context, ns []arch.Subnet) ([]int, error) {
	if err := v.fold(ctx, ns); err != nil {
		return nil, err
	}
	correct := make([]int, len(ns))
	var bad error
	err := v.each(ctx, v.images, ns[0].Resolution, func(b *data.Batch) {
		v.infer(ns, v.folded[:len(ns)], b)
		for i, m := range v.folded[:len(ns)] {
			n := m.correct(b)
			if n < 0 && bad == nil {
				bad = fmt.Errorf("subnet %v: %w", ns[i], ErrNotFinite)
			}
			correct[i] += n
		}
	})
	if err == nil {
		err = bad
	}
	return correct, err
}

// Model returns the subnet with newly estimated statistics. It is valid until
// the evaluator's next call.
func (v *Evaluator) Model(ctx context.Context, n arch.Subnet) (*Model, error) {
	if err := v.fold(ctx, []arch.Subnet{n}); err != nil {
		return nil, err
	}
	return v.folded[0], nil
}

// fold makes models of the subnets, with newly estimated statistics.
func (v *Evaluator) fold(ctx context.Context, ns []arch.Subnet) error {
	for len(v.folded) < len(ns) {
		v.folded = append(v.folded, nil)
	}
	return v.calibrate(ctx, ns, func(i int) { v.folded[i] = v.model(v.folded[i]) })
}

// Calibrate stores the statistics of the supernet's main subnet with the weights, as
// the running statistics of its layers. Nothing else may calibrate or save them
// at the same time.
func (v *Evaluator) Calibrate(ctx context.Context) error {
	return v.calibrate(ctx, []arch.Subnet{v.net.Main()}, func(int) {
		for _, l := range v.layers {
			copy(l.runMean, l.mean[:l.out])
			copy(l.runVar, l.variance[:l.out])
		}
	})
}

// calibrate sets the statistics of the layers of one subnet after the other to the
// mean of those of the calibration batches, and calls use while that subnet is bound.
func (v *Evaluator) calibrate(ctx context.Context, ns []arch.Subnet, use func(i int)) error {
	for len(v.sums) < len(ns) {
		v.sums = append(v.sums, nil)
	}
	for i := range ns {
		clear(v.sums[i])
	}
	batches, last := 0, (*data.Batch)(nil) // of the last one only the extents are read when it is over
	err := v.each(ctx, v.calibration, ns[0].Resolution, func(b *data.Batch) {
		for i, n := range ns {
			common := 0
			if i > 0 {
				common = shared(ns[i-1], n)
			}
			v.bind(n, b)
			v.features(common)
			v.sums[i] = v.addStatistics(v.sums[i])
		}
		batches++
		last = b
	})
	if err != nil {
		return err
	}
	for i, n := range ns {
		v.bind(n, last)
		v.setStatistics(v.sums[i], batches)
		use(i)
	}
	return nil
}

// addStatistics adds the statistics of the bound layers to sums, which has room for
// them or is cleared and grows.
func (w *workspace) addStatistics(sums []float64) []float64 {
	i := 0
	for _, l := range w.layers {
		if missing := i + 2*l.out - len(sums); missing > 0 {
			sums = append(sums, make([]float64, missing)...)
		}
		for c := range l.out {
			sums[i+2*c] += float64(l.mean[c])
			sums[i+2*c+1] += float64(l.variance[c])
		}
		i += 2 * l.out
	}
	return sums
}

// setStatistics divides sums by batches and sets the statistics of the bound layers to
// the quotients.
func (w *workspace) setStatistics(sums []float64, batches int) {
	i := 0
	for _, l := range w.layers {
		for c := range l.out {
			l.mean[c] = float32(sums[i+2*c] / float64(batches))
			l.variance[c] = float32(sums[i+2*c+1] / float64(batches))
		}
		l.affine()
		i += 2 * l.out
	}
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
