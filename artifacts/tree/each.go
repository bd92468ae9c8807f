package tree

import (
	"context"
	"runtime"
	"sync"
)

// EachFile calls f for every file of the tree, from a few goroutines, and returns
// the first error, after which it starts no more calls.
func (m Manifest) EachFile(ctx context.Context, f func(ctx context.Context, e Entry) error) error {
	return Each(ctx, len(m), func(ctx context.Context, i int) error {
		if m[i].Kind == EmptyDir {
			return nil
		}
		return f(ctx, m[i])
	})
}

// Each calls f for 0 … n-1 from a few goroutines and returns the first error,
// after which it starts no more calls. Hashing needs processors, and storing
// waits for the disk, which syncs many files together faster than one by one.
func Each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, max(runtime.GOMAXPROCS(0), 16)) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
