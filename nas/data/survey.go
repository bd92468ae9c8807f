package data

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"
)

// Corrupt is an image that cannot be read.
type Corrupt struct {
	Image int // its position in the index
	Err   error
}

// Survey decodes every image of a part whose data is at path, on several
// goroutines (0 for GOMAXPROCS), each of which holds one image at a time. It
// returns the statistics of the sound images, and the corrupt ones in their
// order. A file that cannot be opened is an error, not a corrupt image. From
// time to time Survey calls report with the number of images done.
func Survey(ctx context.Context, ix Index, path string, threads int, report func(done int)) (Stats, []Corrupt, error) {
	zero := make([]float64, ix.Channels)
	s, err := newSplit(ix, path, zero, zero)
	if err != nil {
		return Stats{}, nil, err
	}
	defer s.Close()
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	total := NewStats(ix.Channels)
	errs := make([]error, len(ix.Records))
	var next, done atomic.Int64
	var mu sync.Mutex // of total
	var workers sync.WaitGroup
	for range threads {
		workers.Go(func() {
			own := NewStats(ix.Channels)
			sc := new(scratch)
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= len(errs) {
					break
				}
				img, err := sc.load(s.source, ix, ix.Records[i])
				if errs[i] = err; err == nil {
					own.Add(img.data)
				}
				if n := done.Add(1); n%64 == 0 {
					report(int(n))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.Merge(own)
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return total, nil, context.Cause(ctx)
	}
	var corrupt []Corrupt
	for i, err := range errs {
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
			return total, nil, err
		} else if err != nil {
			corrupt = append(corrupt, Corrupt{i, err})
		}
	}
	return total, corrupt, nil
}
