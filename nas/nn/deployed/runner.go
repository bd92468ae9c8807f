package deployed

import (
	"context"
	"sync"

	"eyrie/nas/data"
)

// Runner computes the logits of one normalised image, rows × columns ×
// channels. Net and Int8 are Runners; they may be used by several goroutines.
type Runner interface {
	Logits(image []float32) []float32
}

// Each runs all images of a split at a resolution, on several threads, and calls
// f with the logits and the label of each, in their order.
func Each(ctx context.Context, r Runner, split *data.Split, resolution, threads int, f func(logits []float32, label int)) error {
	for b, err := range split.All(ctx, 64*threads, data.View{Resolution: resolution}, threads) {
		if err != nil {
			return err
		}
		logits := make([][]float32, b.N)
		size := len(b.X) / b.N
		var wg sync.WaitGroup
		for t := range threads {
			wg.Go(func() {
				for i := t; i < b.N; i += threads {
					logits[i] = r.Logits(b.X[i*size : (i+1)*size])
				}
			})
		}
		wg.Wait()
		for i, z := range logits {
			f(z, int(b.Labels[i]))
		}
	}
	return nil
}
