// Package native is the backend in Go: it trains and measures on this machine's
// processors, by the kernels of package nn.
package native

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/train"
	"eyrie/pipeline/mistake"
)

// Options are how a backend computes.
type Options struct {
	Arithmetic nn.Arithmetic // changes how results are rounded
	Threads    int           // 0 for all; changes no result
}

// Backend is a supernet that Go's kernels compute with.
type Backend struct {
	job        train.Job
	engine     *nn.Engine
	images     *data.Split // to train on
	parts      [2]*data.Split
	trainer    *nn.Trainer // from the first step on, like the teacher
	teacher    *nn.Supernet
	evaluators map[meter.On]*nn.Evaluator

	next func() (*data.Batch, error, bool) // of the stream, which begins at step at
	at   int
	halt func()
}

// Open opens the images of a job. What cannot be is a mistake in the attribute dataset or
// arithmetic.
func Open(job train.Job, o Options) (*Backend, error) {
	engine, err := nn.NewEngine(o.Threads, o.Arithmetic)
	if err != nil {
		return nil, mistake.At("arithmetic", "%w", err)
	}
	b := &Backend{job: job, engine: engine, evaluators: map[meter.On]*nn.Evaluator{}}
	train, test, err := data.Open(job.Set)
	if err != nil {
		engine.Close()
		return nil, mistake.At("dataset", "%w", err)
	}
	b.parts = [2]*data.Split{train, test}
	if b.images, err = (data.Selection{Part: data.TrainPart, Holdout: job.Holdout}).Of(train, test); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close releases threads and files.
func (b *Backend) Close() {
	if b.halt != nil {
		b.halt()
	}
	for _, s := range b.parts {
		s.Close()
	}
	b.engine.Close()
}

// net returns what trains the weights. Only training takes memory for gradients.
func (b *Backend) net() *nn.Trainer {
	if b.trainer == nil {
		b.trainer = nn.NewTrainer(b.engine, b.job.Supernet)
	}
	return b.trainer
}

// Train does the steps in their order: see [train.Backend].
func (b *Backend) Train(ctx context.Context, steps iter.Seq[train.Step], done func(train.Step, nn.Result)) error {
	for step := range steps {
		batch, err := b.batch(ctx, step.Number)
		if err != nil {
			return err
		}
		res, err := b.step(step, batch)
		if err != nil {
			return err
		}
		done(step, res)
	}
	return nil
}

// batch returns the images of a step. They are prepared ahead as long as steps follow each
// other.
func (b *Backend) batch(ctx context.Context, number int) (*data.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if b.next == nil || b.at != number {
		if b.halt != nil {
			b.halt()
		}
		// The stream is read beyond this call, and so beyond its context.
		b.next, b.halt = iter.Pull2(b.images.Stream(context.WithoutCancel(ctx), data.Feed{
			Batch: b.job.Batch, Seed: b.job.Seed, Augment: b.job.Augment, Resolution: b.job.Resolution,
			Start: number, End: b.job.Steps, Threads: b.engine.Threads(),
		}))
	}
	b.at = number + 1
	batch, err, _ := b.next()
	if err != nil {
		b.next = nil
	}
	return batch, err
}

// step adds up the gradients of a step's passes and updates the weights. It returns what
// the first pass gave.
func (b *Backend) step(s train.Step, batch *data.Batch) (first nn.Result, err error) {
	t := b.net()
	var taught, predicted []float32
	if s.Teacher != nil {
		taught = t.Predict(b.teacher, *s.Teacher, batch)
	}
	for i, p := range s.Passes {
		if p.Quantise != 0 {
			return first, fmt.Errorf("step %d: to train with rounded weights: %w in Go", s.Number, errors.ErrUnsupported)
		}
		var from []float32
		switch p.From {
		case train.FromTeacher:
			from = taught
		case train.FromFirst:
			if predicted == nil {
				predicted = t.Predictions()
			}
			from = predicted
		}
		var res nn.Result
		if i == 0 {
			res = t.Grad(p.Subnet, batch, p.Loss, from)
			first = res
		} else {
			res = t.GradAgain(p.Subnet, p.Loss, from)
		}
		if res.Diverged() {
			return res, &train.DivergedError{Step: s, Pass: i, Loss: res.Loss}
		}
	}
	t.Step(s.SGD)
	return first, nil
}

// KeepTeacher makes a copy of the weights the teacher.
func (b *Backend) KeepTeacher(context.Context) error {
	b.teacher = b.job.Supernet.Clone()
	return nil
}

// SortChannels sorts the middle channels by importance.
func (b *Backend) SortChannels(_ context.Context, expansions []int) error {
	b.net().SortChannels(expansions)
	return nil
}

// State returns the trainer's state and, behind it, the teacher's.
func (b *Backend) State(context.Context) ([]byte, error) {
	state := b.net().State()
	if b.teacher != nil {
		state = append(state, b.teacher.State()...)
	}
	return state, nil
}

// SetState goes back to a state.
func (b *Backend) SetState(_ context.Context, state []byte) error {
	b.teacher = nil
	n := len(b.net().State())
	if len(state) > n {
		teacher := b.job.Supernet.Clone()
		if err := teacher.SetState(state[n:]); err != nil {
			return err
		}
		b.teacher, state = teacher, state[:n]
	}
	return b.net().SetState(state)
}

// Supernet returns the weights, with the statistics of the main subnet.
func (b *Backend) Supernet(ctx context.Context, statistics data.Selection, batch int) (*nn.Supernet, error) {
	v, err := b.evaluator(meter.On{Statistics: statistics, Images: statistics, Batch: batch})
	if err != nil {
		return nil, err
	}
	return b.job.Supernet, v.Calibrate(ctx)
}

// Accuracies measures subnets: see [meter.Evaluator].
func (b *Backend) Accuracies(ctx context.Context, ns []arch.Subnet, on meter.On, done func(i int, top1 float64) error) error {
	v, err := b.evaluator(on)
	if err != nil {
		return err
	}
	return v.Accuracies(ctx, ns, done)
}

// Folded returns the layers of a subnet: see [meter.Evaluator].
func (b *Backend) Folded(ctx context.Context, n arch.Subnet, on meter.On) ([]nn.Folded, error) {
	v, err := b.evaluator(on)
	if err != nil {
		return nil, err
	}
	return v.Folded(ctx, n)
}

// evaluator returns what measures on some images, which it keeps in memory.
func (b *Backend) evaluator(on meter.On) (*nn.Evaluator, error) {
	if v := b.evaluators[on]; v != nil {
		return v, nil
	}
	statistics, err := on.Statistics.Of(b.parts[0], b.parts[1])
	if err != nil {
		return nil, err
	}
	images, err := on.Images.Of(b.parts[0], b.parts[1])
	if err != nil {
		return nil, err
	}
	v := nn.NewEvaluator(b.engine, b.job.Supernet, statistics, images, on.Batch)
	b.evaluators[on] = v
	return v, nil
}
