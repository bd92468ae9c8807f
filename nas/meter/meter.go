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

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/nn"
	"eyrie/pipeline/mistake"
)

// Evaluator measures subnets of one supernet. For each it estimates the statistics of
// batch normalisation anew, as Once-for-All does: the mean, over batches of the images for
// that, of each batch's mean and variance, the last batch being what is left. What it returns
// depends on the weights and the images alone, not on which subnets were measured before.
type Evaluator interface {
	// Accuracies calls done with the index of each subnet and the part of the images that it
	// classifies correctly, in an order of its own. Subnets that share blocks may be run
	// together. An output that is no finite number is an error that wraps [nn.ErrNotFinite].
	Accuracies(ctx context.Context, ns []arch.Subnet, on On, done func(i int, top1 float64) error) error
	// Folded returns the layers of a subnet that have weights, in order, with the statistics
	// of on in them.
	Folded(ctx context.Context, n arch.Subnet, on On) ([]nn.Folded, error)
	Close()
}

// On is on which images subnets are measured.
type On struct {
	Statistics data.Selection // for batch normalisation
	Images     data.Selection
	Batch      int // how many images run together: see Evaluator
}

// Options say what is measured, and on which images.
type Options struct {
	Supernet    *nn.Supernet
	Set         data.Set
	Holdout     int    // training images that the supernet did not see: see data.Split.Holdout
	Calibration int    // other training images, for the statistics of batch normalisation
	Dir         string // where to remember measurements; "" for nowhere

	// Open opens what measures the supernet's subnets, once the other options are known to be
	// sound. Close closes it.
	Open func() (Evaluator, error)
}

// Meter measures subnets. It is not safe for concurrent use.
type Meter struct {
	evaluator       Evaluator
	train, test     *data.Split
	statistics      *data.Split // some of train
	heldOut, tested On
	known           map[measurement]float64
	log             *os.File // nil where nothing is kept
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

// OnTest is on which images the result of a training is measured: on all test images, with
// statistics from as many training images as calibration says, none of those held out.
func OnTest(holdout, calibration int) On {
	seen := data.Selection{Part: data.TrainPart, Holdout: holdout, Mixed: true}
	return On{Statistics: seen.Drawn(data.Draw{Count: calibration, Seed: 1}), Images: data.Selection{Part: data.TestPart}, Batch: batch}
}

// CheckFit reports to a configuration's report images and a holdout that do not suit the
// attributes supernet, if that is not trained yet, and dataset: all that [New] refuses
// and can be known before. What is nil is not checked.
func CheckFit(r *mistake.Report, supernet *artifacts.File, set *data.Set, holdout int) {
	about, foreseen := nn.Foreseen(supernet)
	if foreseen && set != nil && r.Knows("dataset.channels", "dataset.classes") {
		r.At("dataset").Add(fits(*set, about.Space))
	}
	if !r.Knows("holdout") {
		return
	}
	if foreseen {
		r.At("holdout").Add(about.Holdout(holdout))
	}
	if set != nil && set.Train.Count > 0 && r.Knows("dataset.train.count") {
		r.At("holdout").Add(remains(set.Train.Count, holdout))
	}
}

// CheckCalibration reports calibration images of which the last batch is so small that its
// statistics, which count as much as those of each other one, are next to nothing: one image
// beside 200 made 8 % of a network's 57 %, and one beside 2,000 48 % of another's 66 %.
func CheckCalibration(r *mistake.Report, set *data.Set, holdout, calibration int) {
	if set == nil || !r.Knows("calibration", "holdout", "dataset.train.count") {
		return
	}
	n := min(calibration, set.Train.Count-holdout)
	if rest := n % batch; n > batch && rest > 0 && rest < batch/8 {
		r.At("calibration").Badf("%d images make batches of %d and a last one of %d, whose statistics would count as much as those of each other: write %d", n, batch, rest, n-rest)
	}
}

// remains returns an error unless images remain beside those held out.
func remains(images, holdout int) error {
	if holdout < images {
		return nil
	}
	return fmt.Errorf("%d of the set's %d training images leave none", holdout, images)
}

// fits returns an error unless the images are such as the space's networks take.
func fits(set data.Set, s arch.Space) error {
	if b := s.Backbone; set.Channels != b.Input || set.Classes != b.Classes {
		return fmt.Errorf("%q has %d channels and %d classes; the supernet takes %d channels and has %d classes", set.Name, set.Channels, set.Classes, b.Input, b.Classes)
	}
	return nil
}

// New opens the data set, and the log of an interrupted run if there is one.
func New(o Options) (*Meter, error) {
	if err := fits(o.Set, o.Supernet.Space()); err != nil {
		return nil, mistake.Within("dataset", err)
	}
	m := &Meter{known: map[measurement]float64{}}
	if err := m.open(o); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Meter) open(o Options) (err error) {
	if m.train, m.test, err = data.Open(o.Set); err != nil {
		return err
	}
	if err := remains(m.train.Len(), o.Holdout); err != nil {
		return mistake.At("holdout", "%w", err)
	}
	if err := o.Supernet.About().Holdout(o.Holdout); err != nil {
		return mistake.Within("holdout", err)
	}
	m.tested = OnTest(o.Holdout, o.Calibration)
	m.heldOut = m.tested
	m.heldOut.Images = data.Selection{Part: data.TrainPart, Holdout: o.Holdout, Mixed: true, Held: true}
	if m.statistics, err = m.tested.Statistics.Of(m.train, m.test); err != nil {
		return err
	}
	if m.evaluator, err = o.Open(); err != nil || o.Dir == "" {
		return err
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
	err = m.measure(ctx, false, []arch.Subnet{n}, func(t float64) { top1 = t })
	return top1, err
}

// Test measures a subnet on the test images: what nothing is chosen by.
func (m *Meter) Test(ctx context.Context, n arch.Subnet) (top1 float64, err error) {
	err = m.measure(ctx, true, []arch.Subnet{n}, func(t float64) { top1 = t })
	return top1, err
}

// HeldOutAll measures subnets as HeldOut does, which then knows the results. That takes
// less time than one by one, since what subnets have in common is computed once. It calls
// each with the result of every distinct subnet, in an order of its own.
func (m *Meter) HeldOutAll(ctx context.Context, ns []arch.Subnet, each func(top1 float64)) error {
	return m.measure(ctx, false, ns, each)
}

// TestAll is HeldOutAll on the test images.
func (m *Meter) TestAll(ctx context.Context, ns []arch.Subnet, each func(top1 float64)) error {
	return m.measure(ctx, true, ns, each)
}

func (m *Meter) measure(ctx context.Context, test bool, ns []arch.Subnet, each func(top1 float64)) error {
	on := m.heldOut
	if test {
		on = m.tested
	}
	var unknown []arch.Subnet
	asked := map[string]bool{}
	for _, n := range ns {
		key := n.String()
		if top1, ok := m.known[measurement{key, test}]; ok {
			each(top1)
		} else if !asked[key] {
			unknown = append(unknown, n)
			asked[key] = true
		}
	}
	err := m.evaluator.Accuracies(ctx, unknown, on, func(i int, top1 float64) error {
		if err := m.keep(record{measurement{unknown[i].String(), test}, top1}); err != nil {
			return err
		}
		each(top1)
		return nil
	})
	if err != nil {
		return fmt.Errorf("measuring: %w", err)
	}
	return nil
}

// keep remembers a measurement, also beyond an interruption.
func (m *Meter) keep(r record) error {
	m.known[r.measurement] = r.Top1
	if m.log == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = m.log.Write(append(line, '\n'))
	return err
}

// Folded returns the layers of a subnet as Test measures it.
func (m *Meter) Folded(ctx context.Context, n arch.Subnet) ([]nn.Folded, error) {
	return m.evaluator.Folded(ctx, n, m.tested)
}

// Images returns the images that Test measures on, and the training images from
// which the statistics come. They are open until Close.
func (m *Meter) Images() (test, statistics *data.Split) { return m.test, m.statistics }

// Evaluator returns what measures.
func (m *Meter) Evaluator() Evaluator { return m.evaluator }

// Count returns how many measurements there are, those of an interrupted run
// among them.
func (m *Meter) Count() int { return len(m.known) }

// Close closes the evaluator and the files.
func (m *Meter) Close() {
	if m.evaluator != nil {
		m.evaluator.Close()
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
