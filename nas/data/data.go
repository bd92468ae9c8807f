// Package data is the vocabulary of labelled image sets: the stored form that
// the dataset stage writes, and the loader that turns it into batches.
//
// A [Set] is a handle: facts about the images, and for the training and the
// test part an index and the bytes it points into (see index.go for the
// format). [Open] makes two [Split] of it. A Split yields batches in one of two
// ways: [Split.Batch] for given images, and [Split.Stream] for the endless,
// shuffled, augmented sequence that training consumes.
//
// What is in a batch depends on the images, the request and its seed, and on
// nothing else: not on the number of threads, not on what was read before. A
// stream started at step n yields what an uninterrupted one yields from step n
// on. Pixels are resampled in integers, so that batches are equal to the bit
// on every machine.
package data

import (
	"errors"
	"fmt"

	"eyrie/artifacts"
)

// Set is a handle to a labelled image set. It is what the dataset stage
// outputs and what stages that need images take as an attribute.
type Set struct {
	Name       string    `json:"name" doc:"what the images are: fashion-mnist, shapes …"`
	Classes    int       `json:"classes" doc:"number of classes"`
	ClassNames []string  `json:"class_names" doc:"name of each class, in the order of the labels"`
	Channels   int       `json:"channels" doc:"1 for grey, 3 for RGB"`
	Size       int       `json:"size" doc:"side of every image in pixels; 0 where images differ or are not square"`
	Mean       []float64 `json:"mean" doc:"of each channel over the training images, in 0 … 1" provenance:"measured"`
	Std        []float64 `json:"std" doc:"standard deviation of each channel over the training images" provenance:"measured"`
	Train      Part      `json:"train" doc:"the training images"`
	Test       Part      `json:"test" doc:"the test images, never trained on"`
}

// Part is the handle to one part of a Set.
type Part struct {
	Count int            `json:"count" doc:"number of images" provenance:"measured"`
	Index artifacts.File `json:"index" doc:"where each image lies, and its label"`
	Data  artifacts.File `json:"data" doc:"the images: a file of pixels, or the tree of image files or tar shards"`

	// Digests follows from Index and Data, and so is part of no key: what was made of a set
	// is the same whether its images are copied or read where they lie.
	Digests *artifacts.File `json:"digests,omitempty" key:"-" doc:"SHA-256 of each image's bytes, 32 bytes an image in the order of index: of images that are read where they lie, which are checked by it"`
}

// ChecksFiles reports whether images are compared with their digests as they are read, so
// that Data may lie where others can change it.
func (p Part) ChecksFiles() bool { return p.Digests != nil }

// Open opens both parts of the set, whose files must be on this machine. Close
// the splits after use.
func Open(set Set) (train, test *Split, err error) {
	if train, err = open(set, set.Train); err != nil {
		return nil, nil, fmt.Errorf("data set %q: train: %w", set.Name, err)
	}
	if test, err = open(set, set.Test); err != nil {
		train.Close()
		return nil, nil, fmt.Errorf("data set %q: test: %w", set.Name, err)
	}
	return train, test, nil
}

func open(set Set, part Part) (*Split, error) {
	if part.Index.Path == "" || part.Data.Path == "" {
		return nil, errors.New("its files are not on this machine")
	}
	b, err := part.Index.ReadFile()
	if err != nil {
		return nil, err
	}
	ix, err := ParseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	switch {
	case ix.Channels != set.Channels:
		return nil, fmt.Errorf("index: %d channels, the set has %d", ix.Channels, set.Channels)
	case ix.Classes != set.Classes:
		return nil, fmt.Errorf("index: %d classes, the set has %d", ix.Classes, set.Classes)
	case len(ix.Records) != part.Count:
		return nil, fmt.Errorf("index: %d images, the set has %d", len(ix.Records), part.Count)
	case len(set.Mean) != set.Channels || len(set.Std) != set.Channels:
		return nil, fmt.Errorf("mean and std: want one number for each of %d channels", set.Channels)
	}
	if part.Digests != nil {
		if err := ix.addDigests(*part.Digests); err != nil {
			return nil, fmt.Errorf("digests: %w", err)
		}
	}
	return newSplit(ix, part.Data.Path, set.Mean, set.Std)
}
