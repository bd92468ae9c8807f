package torch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"

	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/train"
)

// order is what the worker is told to do: a line of JSON, and bytes behind it.
type order struct {
	Order string `json:"order"`
	Bytes int    `json:"bytes,omitempty"`

	Steps []stepOrder `json:"steps,omitempty"` // train
	Next  []stepOrder `json:"next,omitempty"`  // whose images will be needed then

	Expansions []int `json:"expansions,omitempty"` // sort

	Subnet      *arch.Subnet  `json:"subnet,omitempty"`  // statistics
	Subnets     []arch.Subnet `json:"subnets,omitempty"` // measure
	Calibration *images       `json:"calibration,omitempty"`
	Images      *images       `json:"images,omitempty"`
	Batch       int           `json:"batch,omitempty"`
}

// stepOrder is a [train.Step]. One that is only announced has a number and a resolution.
type stepOrder struct {
	Step       int          `json:"step"`
	Resolution int          `json:"resolution"`
	SGD        sgdOrder     `json:"sgd"`
	Teacher    *arch.Subnet `json:"teacher"`
	Passes     []passOrder  `json:"passes"`
}

type sgdOrder struct {
	Rate     float64 `json:"rate"`
	Momentum float64 `json:"momentum"`
	Nesterov bool    `json:"nesterov"`
	Decay    float64 `json:"decay"`
}

type passOrder struct {
	Subnet    arch.Subnet  `json:"subnet"`
	Hard      float64      `json:"hard"`
	Soft      float64      `json:"soft"`
	Smoothing float64      `json:"smoothing"`
	From      train.Source `json:"from"`
	Quantise  int          `json:"quantise,omitempty"`
}

// images is a selection of images and its size.
type images struct {
	data.Selection
	Count int `json:"count"`
}

func (s *Session) images(of data.Selection) *images { return &images{of, of.Count(s.job.Set)} }

func newStepOrder(s train.Step) stepOrder {
	o := stepOrder{Step: s.Number, Resolution: s.Resolution, SGD: sgdOrder(s.SGD), Teacher: s.Teacher}
	for _, p := range s.Passes {
		o.Passes = append(o.Passes, passOrder{p.Subnet, p.Loss.Hard, p.Loss.Soft, p.Loss.Smoothing, p.From, p.Quantise})
	}
	return o
}

// answer is a line from the worker.
type answer struct {
	Done    bool     `json:"done"`    // with what was ordered
	Stopped bool     `json:"stopped"` // a rank was told to stop
	Bytes   int      `json:"bytes"`   // that follow
	Error   *Failure `json:"error"`

	Step    int             `json:"step"` // that was done
	Loss    float64         `json:"loss"`
	Correct json.RawMessage `json:"correct"` // a number; of measure, a list
	Wait    float64         `json:"wait"`    // seconds for images
	Wall    float64         `json:"wall"`    // seconds
	Peak    int64           `json:"peak"`    // bytes of a GPU's memory
}

// Failure is why a rank has ended.
type Failure struct {
	Kind    string `json:"kind"`
	Rank    int    `json:"rank"`
	Message string `json:"message"`
	Step    int    `json:"step"`
	Pass    int    `json:"pass"`
	Loss    string `json:"loss"`
}

// The kinds of failures whose errors say more than their message.
const (
	diverged = "diverged"
	memory   = "memory"
	lost     = "lost" // another rank
)

func (f *Failure) Error() string {
	if f.Kind == memory {
		return fmt.Sprintf("rank %d: %s: lower batch, share it among more ranks, or write precision = %q", f.Rank, f.Message, BFloat16)
	}
	return fmt.Sprintf("rank %d: %s", f.Rank, f.Message)
}

// do sends an order and returns the last line of the answer, with the bytes behind it. The
// lines before that go to each.
func (s *Session) do(ctx context.Context, o order, payload []byte, each func(answer)) (answer, []byte, error) {
	o.Bytes = len(payload)
	b, err := json.Marshal(o)
	if err != nil {
		return answer{}, nil, err
	}
	b = append(append(b, '\n'), payload...)
	if _, err := s.conn.Write(b); err != nil {
		return answer{}, nil, s.because(ctx, err)
	}
	for {
		line, err := s.in.ReadBytes('\n')
		if err != nil {
			return answer{}, nil, s.because(ctx, err)
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			return a, nil, fmt.Errorf("the worker says %.200q: %w", line, err)
		}
		switch {
		case a.Error != nil && a.Error.Kind == lost:
			return a, nil, cmp.Or(s.lost(), error(a.Error))
		case a.Error != nil:
			return a, nil, a.Error
		case !a.Done && each == nil:
			return a, nil, fmt.Errorf("the worker says %.200q, which nobody asked for", line)
		case !a.Done:
			each(a)
			continue
		}
		data := make([]byte, a.Bytes)
		if _, err := io.ReadFull(s.in, data); err != nil {
			return a, nil, s.because(ctx, err)
		}
		return a, data, nil
	}
}

// stopped returns the error of an order that was not finished because a rank was told to stop.
func (s *Session) stopped(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return train.ErrStopped
}

// The ranks wait between two orders, and a training that is cancelled goes on to the end of one. So
// an order to train has as many steps as take about a second.
const (
	orderTime = 1.0 // s
	mostSteps = 32  // of an order, however fast they are
	announced = 8   // steps after an order, whose images are prepared meanwhile
)

// Train does the steps in their order: see [train.Backend].
func (s *Session) Train(ctx context.Context, steps iter.Seq[train.Step], done func(train.Step, nn.Result)) error {
	next, halt := iter.Pull(steps)
	defer halt()
	for size := 1; ; {
		var some []train.Step
		o := order{Order: "train"}
		for len(some) < size {
			step, ok := next()
			if !ok {
				break
			}
			some, o.Steps = append(some, step), append(o.Steps, newStepOrder(step))
		}
		if len(some) == 0 {
			return nil
		}
		o.Next = s.after(some[len(some)-1].Number)
		wall, i := 0.0, 0
		s.changed = true
		a, _, err := s.do(ctx, o, nil, func(a answer) {
			if i == len(some) {
				return
			}
			correct, _ := strconv.Atoi(string(a.Correct))
			done(some[i], nn.Result{Loss: a.Loss, Correct: correct})
			wall += a.Wall
			s.waited, s.trained = s.waited+a.Wait, s.trained+a.Wall
			i++
		})
		if f, ok := err.(*Failure); ok && f.Kind == diverged {
			loss, _ := strconv.ParseFloat(f.Loss, 64)
			return &train.DivergedError{Step: some[min(max(0, f.Step-some[0].Number), len(some)-1)], Pass: f.Pass, Loss: loss}
		} else if err != nil {
			return err
		}
		if a.Peak > 0 {
			s.report.PeakMemory = &a.Peak
		}
		switch {
		case a.Stopped:
			return s.stopped(ctx)
		case i < len(some):
			return fmt.Errorf("the worker has done %d of %d steps", i, len(some))
		}
		size = min(max(1, int(orderTime/(wall/float64(i)))), mostSteps)
	}
}

// after announces the steps after one, for their images to be prepared.
func (s *Session) after(step int) (next []stepOrder) {
	for i := step + 1; i < min(step+1+announced, s.job.Steps); i++ {
		next = append(next, stepOrder{Step: i, Resolution: s.job.Resolution(i)})
	}
	return next
}

// KeepTeacher makes a copy of the weights the teacher.
func (s *Session) KeepTeacher(ctx context.Context) error {
	_, _, err := s.do(ctx, order{Order: "keep_teacher"}, nil, nil)
	return err
}

// SortChannels sorts the middle channels by importance.
func (s *Session) SortChannels(ctx context.Context, expansions []int) error {
	s.changed = true
	_, _, err := s.do(ctx, order{Order: "sort", Expansions: expansions}, nil, nil)
	return err
}

// State returns weights, momentum and teacher, as safetensors.
func (s *Session) State(ctx context.Context) ([]byte, error) {
	_, b, err := s.do(ctx, order{Order: "state"}, nil, nil)
	return b, err
}

// SetState goes back to a state.
func (s *Session) SetState(ctx context.Context, state []byte) error {
	s.changed = true
	_, _, err := s.do(ctx, order{Order: "set_state"}, state, nil)
	return err
}

// fetch copies the worker's weights into the job's supernet.
func (s *Session) fetch(ctx context.Context) error {
	if !s.changed {
		return nil
	}
	_, b, err := s.do(ctx, order{Order: "weights"}, nil, nil)
	if err != nil {
		return err
	}
	t, err := nn.DecodeTensors(b)
	if err != nil {
		return fmt.Errorf("the trained weights: %w", err)
	}
	s.changed = false
	return s.job.Supernet.SetWeights(t)
}

// statistics estimates the statistics of batch normalisation of a subnet's layers.
func (s *Session) statistics(ctx context.Context, n arch.Subnet, images data.Selection, batch int) (nn.Tensors, error) {
	a, b, err := s.do(ctx, order{Order: "statistics", Subnet: &n, Calibration: s.images(images), Batch: batch}, nil, nil)
	if err != nil {
		return nil, err
	}
	if a.Stopped && len(b) == 0 {
		return nil, s.stopped(ctx)
	}
	t, err := nn.DecodeTensors(b)
	if err != nil {
		return nil, fmt.Errorf("subnet %v: statistics of batch normalisation: %w: %w", n, err, nn.ErrNotFinite)
	}
	return t, nil
}

// Supernet returns the weights, with the statistics of the main subnet.
func (s *Session) Supernet(ctx context.Context, images data.Selection, batch int) (*nn.Supernet, error) {
	if err := s.fetch(ctx); err != nil {
		return nil, err
	}
	t, err := s.statistics(ctx, s.job.Supernet.Main(), images, batch)
	if err != nil {
		return nil, err
	}
	return s.job.Supernet, s.job.Supernet.SetRunning(t)
}

// Folded returns the layers of a subnet: see [meter.Evaluator].
func (s *Session) Folded(ctx context.Context, n arch.Subnet, on meter.On) ([]nn.Folded, error) {
	if err := s.fetch(ctx); err != nil {
		return nil, err
	}
	t, err := s.statistics(ctx, n, on.Statistics, on.Batch)
	if err != nil {
		return nil, err
	}
	return s.job.Supernet.Fold(n, t)
}

// together is how many subnets are measured by one order: an interruption loses them.
const together = 8

// Accuracies measures subnets: see [meter.Evaluator].
func (s *Session) Accuracies(ctx context.Context, ns []arch.Subnet, on meter.On, done func(i int, top1 float64) error) error {
	order := make([]int, len(ns))
	for i, n := range ns {
		if err := s.job.Supernet.Space().Contains(n); err != nil {
			return fmt.Errorf("subnet %v: %w", n, err)
		}
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(ns[i].Resolution, ns[j].Resolution) })
	for len(order) > 0 {
		some := order[:min(together, len(order))]
		if i := slices.IndexFunc(some, func(i int) bool { return ns[i].Resolution != ns[some[0]].Resolution }); i > 0 {
			some = some[:i]
		}
		order = order[len(some):]
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := s.measure(ctx, ns, some, on, done); err != nil {
			return err
		}
	}
	return nil
}

// measure measures some of the subnets, of one resolution.
func (s *Session) measure(ctx context.Context, ns []arch.Subnet, some []int, on meter.On, done func(i int, top1 float64) error) error {
	o := order{Order: "measure", Calibration: s.images(on.Statistics), Images: s.images(on.Images), Batch: on.Batch}
	for _, i := range some {
		o.Subnets = append(o.Subnets, ns[i])
	}
	a, _, err := s.do(ctx, o, nil, nil)
	if err != nil {
		return err
	}
	var correct []int
	if len(a.Correct) > 0 {
		if err := json.Unmarshal(a.Correct, &correct); err != nil {
			return fmt.Errorf("the worker counts %s: %w", a.Correct, err)
		}
	}
	if a.Stopped && len(correct) < len(some) {
		return s.stopped(ctx)
	}
	for k, i := range some {
		if correct[k] < 0 {
			return fmt.Errorf("subnet %v: %w", ns[i], nn.ErrNotFinite)
		}
		if err := done(i, float64(correct[k])/float64(o.Images.Count)); err != nil {
			return err
		}
	}
	return nil
}

// Report returns what has computed.
func (s *Session) Report() Report {
	r := s.report
	if s.trained > 0 {
		idle := math.Min(1, s.waited/s.trained)
		r.Idle = &idle
	}
	return r
}
