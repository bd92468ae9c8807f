// Package meter measures the accuracy of a supernet's subnets, each of them
// once: what it has measured it remembers, also beyond an interruption.
package meter

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"eyrie/stages/arch"
	"eyrie/stages/data"
	"eyrie/stages/nn"
)

// Options say what is measured, and on which images.
type Options struct {
	Supernet    *nn.Supernet
	Set         data.Set
	Holdout     int    // training images that the supernet did not see: see data.Split.Holdout
	Calibration int    // other training images, for the statistics of batch normalisation
	Arithmetic  string // which kernels compute, one of nn.Kernels; "auto" for the fastest
	Threads     int    // 0 for all; changes no result
	Dir         string // where to remember measurements; "" for nowhere
}

// Meter measures subnets. It is not safe for concurrent use.
type Meter struct {
	engine      *nn.Engine
	train, test *data.Split
	statistics  *data.Split // for batch normalisation
	heldOut     *nn.Evaluator
	tested      *nn.Evaluator
	known       map[measurement]float64
	log         *os.File // nil where nothing is kept
}

// measurement is what was measured: a subnet (as a string), on which images.
type measurement struct {
	Subnet string `json:"subnet"`
	Test   bool   `json:"test"`
}

// record is a line of the log.
type record struct {
	measurement
	Top1 float64 `json:"top1"`
}

// batch is how many images run together.
const batch = 200

// OptionError reports options that do not fit each other.
type OptionError struct {
	Option string // the one to change, as stages call it: dataset or holdout
	Err    error
}

func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// New opens the data set, and the log of an interrupted run if there is one.
func New(o Options) (*Meter, error) {
	b := o.Supernet.Space().Backbone
	if o.Set.Channels != b.Input || o.Set.Classes != b.Classes {
		return nil, &OptionError{"dataset", fmt.Errorf("%q has %d channels and %d classes; the supernet takes %d and tells %d apart",
			o.Set.Name, o.Set.Channels, o.Set.Classes, b.Input, b.Classes)}
	}
	m := &Meter{known: map[measurement]float64{}}
	if err := m.open(o); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Meter) open(o Options) (err error) {
	if m.engine, err = nn.NewEngine(o.Threads, o.Arithmetic); err != nil {
		return err
	}
	if m.train, m.test, err = data.Open(o.Set); err != nil {
		return err
	}
	if o.Holdout >= m.train.Len() {
		return &OptionError{"holdout", fmt.Errorf("%d of the set's %d training images leave none", o.Holdout, m.train.Len())}
	}
	if o.Holdout > o.Supernet.HeldOut {
		return &OptionError{"holdout", fmt.Errorf("the supernet was trained on all but %d images, not all but %d: write the holdout of train-supernet", o.Supernet.HeldOut, o.Holdout)}
	}
	rest, held := m.train.Holdout(o.Holdout)
	some := data.Order(rest.Len(), 1, 0)
	m.statistics = rest.Subset(some[:min(o.Calibration, len(some))])
	m.heldOut = nn.NewEvaluator(m.engine, o.Supernet, m.statistics, held, batch)
	m.tested = nn.NewEvaluator(m.engine, o.Supernet, m.statistics, m.test, batch)
	if o.Dir == "" {
		return nil
	}
	return m.resume(filepath.Join(o.Dir, "measured.jsonl"))
}

// resume reads what was measured before, up to a line that an interruption cut
// off, and opens the log to go on there.
func (m *Meter) resume(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	m.log = f
	end := int64(0)
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		var r record
		if err != nil || json.Unmarshal(line, &r) != nil {
			break
		}
		m.known[r.measurement] = r.Top1
		end += int64(len(line))
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	_, err = f.Seek(end, io.SeekStart)
	return err
}

// HeldOut measures a subnet on the training images that were held out: what
// candidates are chosen by. Options.Holdout must not be 0.
func (m *Meter) HeldOut(ctx context.Context, n arch.Subnet) (top1 float64, err error) {
	return m.measure(ctx, m.heldOut, measurement{n.String(), false}, n)
}

// Test measures a subnet on the test images: what nothing is chosen by.
func (m *Meter) Test(ctx context.Context, n arch.Subnet) (top1 float64, err error) {
	return m.measure(ctx, m.tested, measurement{n.String(), true}, n)
}

func (m *Meter) measure(ctx context.Context, v *nn.Evaluator, what measurement, n arch.Subnet) (float64, error) {
	if top1, ok := m.known[what]; ok {
		return top1, nil
	}
	top1, err := v.Accuracy(ctx, n)
	if err != nil {
		return 0, fmt.Errorf("measuring %v: %w", n, err)
	}
	m.known[what] = top1
	if m.log != nil {
		line, err := json.Marshal(record{what, top1})
		if err != nil {
			return 0, err
		}
		if _, err := m.log.Write(append(line, '\n')); err != nil {
			return 0, err
		}
	}
	return top1, nil
}

// Folded returns the layers of a subnet as Test measures it.
func (m *Meter) Folded(ctx context.Context, n arch.Subnet) ([]nn.Folded, error) {
	return m.tested.Folded(ctx, n)
}

// Images returns the images that Test measures on, and the training images from
// which the statistics come. They are open until Close.
func (m *Meter) Images() (test, statistics *data.Split) { return m.test, m.statistics }

// Count returns how many measurements there are, those of an interrupted run
// among them.
func (m *Meter) Count() int { return len(m.known) }

// Close releases threads and files.
func (m *Meter) Close() {
	if m.engine != nil {
		m.engine.Close()
	}
	for _, s := range []*data.Split{m.train, m.test} {
		if s != nil {
			s.Close()
		}
	}
	if m.log != nil {
		m.log.Close()
	}
}
