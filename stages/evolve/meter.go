package evolve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"eyrie/pipeline"
	"eyrie/stages/arch"
	"eyrie/stages/data"
	"eyrie/stages/nn"
)

// meter measures the accuracy of subnets with a supernet's weights. What it has
// measured it keeps in the checkpoint directory: a search that starts again asks
// the same questions in the same order, and gets these answers at once.
type meter struct {
	engine      *nn.Engine
	train, test *data.Split
	candidates  *nn.Evaluator // on the images held out of training
	results     *nn.Evaluator // on the test images
	known       map[measurement]float64
	log         *os.File // nil where nothing is kept
}

// measurement is what was measured: a subnet (as a string) during the search, or
// of its result.
type measurement struct {
	Subnet string `json:"subnet"`
	Result bool   `json:"result"`
}

// record is a line of the log.
type record struct {
	measurement
	Top1 float64 `json:"top1"`
}

// batch is how many images run together.
const batch = 200

// newMeter opens the data set and goes on with the log of an interrupted search.
// The held training images serve the search, the test images the measurement
// of its result, and some of the other training images the statistics of batch
// normalisation.
func newMeter(ctx context.Context, supernet *nn.Supernet, set data.Set, calibration, held int) (m *meter, err error) {
	b := supernet.Space().Backbone
	if set.Channels != b.Input || set.Classes != b.Classes {
		return nil, pipeline.Badf("dataset", "%q has %d channels and %d classes; the supernet takes %d and tells %d apart",
			set.Name, set.Channels, set.Classes, b.Input, b.Classes)
	}
	m = &meter{known: map[measurement]float64{}}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.engine, err = nn.NewEngine(pipeline.CPUs(ctx), ""); err != nil {
		return m, err
	}
	if m.train, m.test, err = data.Open(set); err != nil {
		return m, err
	}
	if held >= m.train.Len() {
		return m, pipeline.Badf("holdout", "%d of %d training images leave none", held, m.train.Len())
	}
	rest, images := m.train.Holdout(held)
	some := data.Order(rest.Len(), 1, 0)
	statistics := rest.Subset(some[:min(calibration, len(some))])
	m.candidates = nn.NewEvaluator(m.engine, supernet, statistics, images, batch)
	m.results = nn.NewEvaluator(m.engine, supernet, statistics, m.test, batch)
	if dir := pipeline.Checkpoint(ctx); dir != "" {
		err = m.resume(filepath.Join(dir, "measured.jsonl"))
	}
	return m, err
}

// resume reads what was measured before, up to a line that an interruption cut
// off, and opens the log to go on there.
func (m *meter) resume(path string) error {
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
	_, err = f.Seek(end, 0)
	return err
}

// candidate measures a subnet on the images held out of training.
func (m *meter) candidate(ctx context.Context, n arch.Subnet) (float64, error) {
	return m.measure(ctx, m.candidates, measurement{n.String(), false}, n)
}

// result measures a subnet on the test images.
func (m *meter) result(ctx context.Context, n arch.Subnet) (float64, error) {
	return m.measure(ctx, m.results, measurement{n.String(), true}, n)
}

func (m *meter) measure(ctx context.Context, v *nn.Evaluator, what measurement, n arch.Subnet) (float64, error) {
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

func (m *meter) close() {
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
