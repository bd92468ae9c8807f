package data

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"eyrie/artifacts"
)

// Corrupt is an image that cannot be read.
type Corrupt struct {
	Image int // its position in the index
	Err   error
}

// Findings are what Survey finds in the images of a part.
type Findings struct {
	Stats   Stats     // of the sound images
	Corrupt []Corrupt // in the order of the index
	Clipped []int     // positions of images whose grey above 255 was made white
}

// IsCorrupt reports whether image i is corrupt.
func (f Findings) IsCorrupt(i int) bool {
	_, found := slices.BinarySearchFunc(f.Corrupt, i, func(c Corrupt, i int) int { return c.Image - i })
	return found
}

// SurveyOptions say what Survey does besides decoding.
type SurveyOptions struct {
	Threads int  // goroutines; 0 for GOMAXPROCS
	Digests bool // give the records of sound images their digests

	Report func(done int) // is called from time to time with the number of images done
}

// Survey decodes every image of a part whose data is at path, on several goroutines, each of
// which holds one image at a time. A file that cannot be opened is an error, not a corrupt
// image.
func Survey(ctx context.Context, ix Index, path string, o SurveyOptions) (Findings, error) {
	found := Findings{Stats: NewStats(ix.Channels)}
	zero := make([]float64, ix.Channels)
	s, err := newSplit(ix, path, zero, zero)
	if err != nil {
		return found, err
	}
	defer s.Close()
	threads := o.Threads
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	errs := make([]error, len(ix.Records))
	var next, done atomic.Int64
	var mu sync.Mutex // of found
	var workers sync.WaitGroup
	for range threads {
		workers.Go(func() {
			own := NewStats(ix.Channels)
			var clipped []int
			sc := new(scratch)
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= len(errs) {
					break
				}
				img, err := sc.load(ctx, s.source, ix, ix.Records[i])
				if errs[i] = err; err == nil {
					own.Add(img.data)
				}
				if err == nil && o.Digests {
					ix.Records[i].Digest = artifacts.Sum(sc.bytes)
				}
				if img.clipped {
					clipped = append(clipped, i)
				}
				if n := done.Add(1); n%64 == 0 {
					o.Report(int(n))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			found.Stats.Merge(own)
			found.Clipped = append(found.Clipped, clipped...)
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return found, context.Cause(ctx)
	}
	slices.Sort(found.Clipped)
	for i, err := range errs {
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
			return found, err
		} else if err != nil {
			found.Corrupt = append(found.Corrupt, Corrupt{i, err})
		}
	}
	return found, nil
}
