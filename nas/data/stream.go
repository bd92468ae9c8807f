package data

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"
)

// Feed describes a sequence of batches. Step s is the batch of the images
// Order(n, Seed, epoch)[p·Batch : (p+1)·Batch], where epoch and p are the
// quotient and remainder of s by the n/Batch steps of an epoch; the images
// that are left over sit out the epoch.
type Feed struct {
	Batch      int                // images in a batch
	Resolution func(step int) int // of the step's images; see At
	Seed       uint64             // of order and augmentation
	Augment    Augment
	Start      int // the first step
	End        int // one more than the last step

	Threads int // goroutines that prepare batches; 0 for GOMAXPROCS
	Ahead   int // batches that wait to be used; 0 for 2
}

// At is the Resolution of a Feed whose images are all of one size.
func At(resolution int) func(int) int { return func(int) int { return resolution } }

// Order returns the numbers 0 … n-1, shuffled by seed and epoch.
func Order(n int, seed uint64, epoch int) []int {
	return rand.New(rand.NewPCG(mix(seed), mix(uint64(epoch)))).Perm(n)
}

// Stream yields the feed's batches in order, prepared ahead by several
// goroutines in at most Threads + Ahead + 1 buffers. A batch is valid until
// the loop's next turn. The first error ends the stream; leaving the loop
// stops and awaits the goroutines.
func (s *Split) Stream(ctx context.Context, f Feed) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		if f.Batch < 1 || f.Batch > s.Len() {
			yield(nil, fmt.Errorf("batch of %d images from a set of %d", f.Batch, s.Len()))
			return
		}
		steps := NewSteps(s.Len(), f.Batch, f.Seed)
		fill := func(ctx context.Context, step int, b *Batch) error {
			epoch, images := steps.Images(step)
			v := View{Resolution: f.Resolution(step), Augment: f.Augment, Seed: f.Seed, Epoch: epoch}
			return s.Batch(ctx, images, v, b)
		}
		pump(ctx, f, fill, yield)
	}
}

// All yields all images once, in their order, in batches of at most batch,
// without augmentation: for evaluation.
func (s *Split) All(ctx context.Context, batch int, v View, threads int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		if batch < 1 {
			yield(nil, fmt.Errorf("batch of %d images", batch))
			return
		}
		f := Feed{End: (s.Len() + batch - 1) / batch, Threads: threads}
		fill := func(ctx context.Context, step int, b *Batch) error {
			at := step * batch
			indices := make([]int, min(batch, s.Len()-at))
			for i := range indices {
				indices[i] = at + i
			}
			return s.Batch(ctx, indices, v, b)
		}
		pump(ctx, f, fill, yield)
	}
}

// slot is a buffer of the ring: empty and full each hold at most one token,
// and hand the batch to and fro.
type slot struct {
	batch       Batch
	err         error
	empty, full chan struct{}
}

// pump prepares the steps Start … End-1 with fill and yields them in order.
// Step s always uses slot s mod ring, so that memory is bounded.
func pump(ctx context.Context, f Feed, fill func(context.Context, int, *Batch) error, yield func(*Batch, error) bool) {
	threads, ahead := f.Threads, f.Ahead
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	if ahead < 1 {
		ahead = 2
	}
	ring := make([]slot, threads+ahead+1)
	for i := range ring {
		ring[i].empty, ring[i].full = make(chan struct{}, 1), make(chan struct{}, 1)
		ring[i].empty <- struct{}{}
	}
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	var turn sync.Mutex // slots are taken in the order of the steps
	next := f.Start
	take := func() (step int, sl *slot) {
		turn.Lock()
		defer turn.Unlock()
		if next >= f.End {
			return 0, nil
		}
		sl = &ring[next%len(ring)]
		select {
		case <-sl.empty:
		case <-ctx.Done():
			return 0, nil
		}
		next++
		return next - 1, sl
	}
	for range threads {
		workers.Go(func() {
			for step, sl := take(); sl != nil; step, sl = take() {
				sl.err = fill(ctx, step, &sl.batch)
				sl.full <- struct{}{}
			}
		})
	}
	for step := f.Start; step < f.End; step++ {
		sl := &ring[step%len(ring)]
		select {
		case <-sl.full:
		case <-ctx.Done():
			yield(nil, context.Cause(ctx))
			return
		}
		if sl.err != nil {
			yield(nil, fmt.Errorf("step %d: %w", step, sl.err))
			return
		}
		if !yield(&sl.batch, nil) {
			return
		}
		sl.empty <- struct{}{}
	}
}

// Steps knows which images the steps of a [Feed] see. It may be used by many goroutines.
type Steps struct {
	images, batch int
	seed          uint64

	mu   sync.Mutex
	kept [2]struct { // the orders of the last two epochs, as batches of both are prepared where they meet
		epoch int
		order []int
	}
}

// NewSteps returns steps of batch images each, drawn from images of them. There must be at least
// one batch.
func NewSteps(images, batch int, seed uint64) *Steps {
	return &Steps{images: images, batch: batch, seed: seed}
}

// Images returns the numbers of a step's images, and its epoch.
func (s *Steps) Images(step int) (epoch int, images []int) {
	perEpoch := s.images / s.batch
	epoch = step / perEpoch
	at := step % perEpoch * s.batch
	return epoch, s.order(epoch)[at : at+s.batch]
}

func (s *Steps) order(epoch int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &s.kept[epoch%2]
	if k.order == nil || k.epoch != epoch {
		k.epoch, k.order = epoch, Order(s.images, s.seed, epoch)
	}
	return k.order
}
