package train

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
)

// Backend holds the weights of a supernet and computes with them. Nothing that it does is
// random: steps, images and first weights are given. Package traintest says what every
// backend promises. One goroutine uses it at a time.
type Backend interface {
	meter.Evaluator

	// Train does the steps in their order, and calls done with what each gave, in the
	// same order and soon after it. When it returns, the weights are those after the last
	// step that done was called for, whether an error ended it or there are no more steps.
	// A loss that is no finite number is a *DivergedError, SIGTERM to a process of the
	// backend ErrStopped.
	Train(ctx context.Context, steps iter.Seq[Step], done func(Step, nn.Result)) error
	// KeepTeacher makes a copy of the weights the teacher of later steps.
	KeepTeacher(ctx context.Context) error
	// SortChannels puts the most important middle channels first: see [nn.Trainer.SortChannels].
	SortChannels(ctx context.Context, expansions []int) error

	// State returns all that training changes: weights, momentum and the teacher, in a format of
	// the backend's own. SetState goes back to it.
	State(ctx context.Context) ([]byte, error)
	SetState(ctx context.Context, state []byte) error

	// Supernet returns the weights, with the running statistics that its main subnet has over
	// some images in batches of the given size: see [nn.Supernet.Main].
	Supernet(ctx context.Context, statistics data.Selection, batch int) (*nn.Supernet, error)
}

// Job is what a backend is opened for: weights, images, and how a step's batch is drawn from
// them. To measure, only the supernet and the set are needed.
type Job struct {
	Supernet *nn.Supernet // the first weights; the backend takes them over
	Set      data.Set

	Holdout    int                // training images that no step sees: see data.Split.Holdout
	Batch      int                // images of a step
	Seed       uint64             // of the images' order and variation
	Augment    data.Augment       // how they vary
	Resolution func(step int) int // of a step's images
	Steps      int                // of the whole training
}

// Step is a step of a training: its passes' gradients are added up, and the weights
// updated once. Its images are those of [data.Feed] for its number.
type Step struct {
	Number     int
	Resolution int
	Teacher    *arch.Subnet // the kept teacher's subnet, which predicts first; nil for none
	Passes     []Pass
	SGD        nn.SGD
}

// Pass is a subnet that learns from a step's images.
type Pass struct {
	Subnet arch.Subnet
	Loss   nn.Loss
	From   Source // whose predictions its soft loss is from

	// Quantise is the greatest integer of a weight where the pass computes with weights and maps
	// rounded as package deployed quantises them, so that it learns to bear that; its gradients
	// are those of numbers that were not rounded. 0 is for none. A backend that cannot returns
	// an error that wraps [errors.ErrUnsupported].
	Quantise int
}

// Source is whose predictions a pass learns from.
type Source string

// The sources.
const (
	FromLabels  Source = ""        // nobody's: it learns from the labels alone
	FromTeacher Source = "teacher" // the kept teacher's
	FromFirst   Source = "first"   // the step's first pass
)

// ErrStopped reports that a process of the backend was told to stop from outside.
var ErrStopped = errors.New("a process of the training was told to stop")

// DivergedError reports a loss that is not a finite number. The weights are those of
// before the step, or of no use.
type DivergedError struct {
	Step Step
	Pass int
	Loss float64
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("step %d: subnet %v: the loss is %v", e.Step.Number+1, e.Step.Passes[e.Pass].Subnet, e.Loss)
}
