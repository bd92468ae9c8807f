package nn

import (
	"fmt"
	"math"

	"eyrie/nas/arch"
	"eyrie/nas/data"
)

// Trainer trains a supernet. The gradients and the momentum are its own. Step,
// SetState and SortChannels change the weights: nothing may run meanwhile.
type Trainer struct {
	runner
	sgd     sgdTask   // with gradients and momentum
	other   runner    // of a teacher
	teacher []float32 // probabilities

	batch *data.Batch // of the last Grad
}

// NewTrainer returns a trainer of s on the engine, without momentum.
func NewTrainer(e *Engine, s *Supernet) *Trainer {
	grads, momentum := arena(aligned(len(s.ps.value))), arena(aligned(len(s.ps.value)))
	return &Trainer{runner: newRunner(e, s, grads), sgd: sgdTask{params: &s.ps, grad: grads, momentum: momentum}}
}

// Result is what a pass over a batch gave.
type Result struct {
	Loss    float64 // mean over the images
	Correct int     // images whose largest logit is the label's
}

// Grad runs the subnet on the batch and adds the gradient of the loss to what
// Step will use. With a soft loss, teacher holds the predictions to learn from,
// one probability per image and class.
func (t *Trainer) Grad(n arch.Subnet, b *data.Batch, loss Loss, teacher []float32) Result {
	res := t.pass(n, b, loss, teacher)
	t.backward()
	t.batch = b
	return res
}

// GradAgain is Grad on the batch of the last Grad, since which there must have been no
// Step. It skips what all subnets have in common: the stem, and the blocks before the first
// expansion. Blocks with one can't be skipped, since going backward through an expansion
// changes what it keeps.
func (t *Trainer) GradAgain(n arch.Subnet, loss Loss, teacher []float32) Result {
	common := 1
	for common <= len(t.active) && t.active[common-1].expand == nil {
		common++
	}
	res := t.passFrom(common, n, t.batch, loss, teacher)
	t.backward()
	return res
}

// pass runs the subnet forward with the batch's own statistics.
func (t *runner) pass(n arch.Subnet, b *data.Batch, loss Loss, teacher []float32) Result {
	return t.passFrom(0, n, b, loss, teacher)
}

// passFrom is pass without the first parts, which the previous subnet shares.
func (t *runner) passFrom(shared int, n arch.Subnet, b *data.Batch, loss Loss, teacher []float32) Result {
	if len(b.Labels) != b.N {
		panic(fmt.Sprintf("nn: %d labels for %d images", len(b.Labels), b.N))
	}
	t.bind(n, b)
	t.out.set(loss, b.Labels, teacher)
	t.forward(shared)
	var res Result
	for i, l := range t.out.loss {
		res.Loss += l
		if t.out.correct[i] {
			res.Correct++
		}
	}
	res.Loss /= float64(b.N)
	return res
}

// Predictions returns the probabilities of the last batch, image × class. They
// are valid until Predictions is called again.
func (t *Trainer) Predictions() []float32 {
	t.teacher = append(t.teacher[:0], t.out.probs...)
	return t.teacher
}

// Predict returns the probabilities that another supernet's subnet gives on the
// batch, with the batch's own statistics. They are valid until Predict or
// Predictions is called again.
func (t *Trainer) Predict(s *Supernet, n arch.Subnet, b *data.Batch) []float32 {
	if t.other.workspace == nil || t.other.net != s {
		t.other = newRunner(t.Engine, s, nil)
	}
	t.other.pass(n, b, Loss{}, nil)
	t.teacher = append(t.teacher[:0], t.other.out.probs...)
	return t.teacher
}

// Step updates the weights by the gradients, and clears these.
func (t *Trainer) Step(o SGD) {
	t.sgd.SGD = o
	t.run(len(t.net.ps.list), &t.sgd)
	t.net.changed()
}

// Diverged reports whether a loss is not a finite number.
func (r Result) Diverged() bool { return math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0) }
