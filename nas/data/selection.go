package data

import "fmt"

// Selection names images of a set, the same ones in the same order in every process.
type Selection struct {
	Part    string `json:"part"`              // TrainPart or TestPart
	Holdout int    `json:"holdout,omitempty"` // of the training images: how many are held out, as [Split.Holdout] takes them
	Held    bool   `json:"held,omitempty"`    // those held out, and not the others
	Mixed   bool   `json:"mixed,omitempty"`   // in the order of [Split.Holdout] also where none are held out
	Draw    Draw   `json:"draw,omitzero"`     // some of these, drawn at random
}

// Draw draws the first Count images, or as many as there are, of Order(n, Seed, Epoch). The
// zero value takes all images in their order.
type Draw struct {
	Count int    `json:"count"`
	Seed  uint64 `json:"seed"`
	Epoch int    `json:"epoch"`
}

// The parts of a set.
const (
	TrainPart = "train"
	TestPart  = "test"
)

// Of returns the selected images of a set that was opened. The holdout must not be more
// than there are training images.
func (s Selection) Of(train, test *Split) (*Split, error) {
	split := test
	switch {
	case s.Part == TrainPart && (s.Holdout < 0 || s.Holdout > train.Len()):
		return nil, fmt.Errorf("%d images held out of %d", s.Holdout, train.Len())
	case s.Part == TrainPart && s.Holdout == 0 && !s.Held && !s.Mixed:
		split = train
	case s.Part == TrainPart:
		rest, held := train.Holdout(s.Holdout)
		if split = rest; s.Held {
			split = held
		}
	case s.Part != TestPart:
		return nil, fmt.Errorf("part %q, want %q or %q", s.Part, TrainPart, TestPart)
	}
	if d := s.Draw; d != (Draw{}) {
		split = split.Subset(Order(split.Len(), d.Seed, d.Epoch)[:max(0, min(d.Count, split.Len()))])
	}
	return split, nil
}

// Count returns how many images of a set it selects.
func (s Selection) Count(set Set) int {
	n := set.Test.Count
	switch {
	case s.Part == TrainPart && s.Held:
		n = s.Holdout
	case s.Part == TrainPart:
		n = set.Train.Count - s.Holdout
	}
	if s.Draw != (Draw{}) {
		n = min(n, s.Draw.Count)
	}
	return max(0, n)
}

// Drawn returns the selection of some of the images that s selects.
func (s Selection) Drawn(d Draw) Selection {
	s.Draw = d
	return s
}
