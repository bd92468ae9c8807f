package supernet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/nn"
	"eyrie/pipeline"
)

// training is a training under way. All that is random in a step is drawn from
// the seed and the step's number, so that the state is the weights, the
// optimiser's momentum, the teacher and the curve.
type training struct {
	Config
	task         *pipeline.Task
	images, test *data.Split // what is trained and measured on
	calibration  *data.Split
	peek         *data.Split // the test images of the curve
	closers      []*data.Split
	engine       *nn.Engine
	net          *nn.Supernet
	trainer      *nn.Trainer
	teacher      *nn.Supernet // the largest network as the first phase left it
	spans        []span
	perEpoch     int
	total        int // steps

	step  int // steps done
	curve curve

	store store
	saved time.Time
}

// begin opens the data, makes the supernet, and goes back to the last
// checkpoint if there is one.
func begin(task *pipeline.Task, c Config) (*training, error) {
	train, test, err := data.Open(c.Dataset)
	if err != nil {
		return nil, pipeline.Badf("dataset", "%w", err)
	}
	t := &training{Config: c, task: task, test: test, closers: []*data.Split{train, test}, store: store{dir: task.Checkpoint()}}
	if err := t.begin(train); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *training) begin(train *data.Split) (err error) {
	c := t.Config
	threads := c.Threads
	if threads == 0 {
		threads = t.task.CPUs()
	}
	if t.engine, err = nn.NewEngine(threads, c.Arithmetic); err != nil {
		return pipeline.Badf("arithmetic", "%w", err)
	}
	if c.Holdout > 0 {
		train, _ = train.Holdout(c.Holdout)
	}
	t.images = train
	t.calibration = train.Subset(data.Order(train.Len(), uint64(c.Seed), -1)[:min(c.Calibration, train.Len())])
	t.peek = t.test.Subset(data.Order(t.test.Len(), uint64(c.Seed), -1)[:min(c.CurveImages, t.test.Len())])
	t.perEpoch = train.Len() / c.Batch
	t.spans = c.spans(t.perEpoch)
	if t.total = t.spans[len(t.spans)-1].last; t.total < 1 {
		return pipeline.Badf("epochs", "too few: they make no step of %d images, of which there are %d", c.Batch, train.Len())
	}
	t.net = nn.New(c.Space, uint64(c.Seed))
	t.trainer = nn.NewTrainer(t.engine, t.net)
	return t.resume()
}

func (t *training) close() {
	for _, s := range t.closers {
		s.Close()
	}
	if t.engine != nil {
		t.engine.Close()
	}
}

// resume goes back to the newest checkpoint that is whole.
func (t *training) resume() error {
	log := t.task.Log()
	ck, damaged, err := t.store.load()
	if err != nil {
		return err
	}
	for _, d := range damaged {
		log.Warn().Err(d).Msg("checkpoint is damaged, going back to the one before")
	}
	t.saved = time.Now()
	if ck == nil {
		log.Info().Msgf("training %d steps of %d images on %d threads with %s kernels", t.total, t.Batch, t.engine.Threads(), t.engine.Kernels())
		return nil
	}
	if err := t.restore(ck); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", ck.Step, err)
	}
	note := fmt.Sprintf("resuming from step %d of %d", t.step, t.total)
	log.Info().Int("step", t.step).Int("steps", t.total).Msg(note)
	t.task.Report(t.progress(note))
	return nil
}

// train runs the steps that are left. When it is cancelled it saves a
// checkpoint first.
func (t *training) train(ctx context.Context) error {
	if err := t.measure(ctx); err != nil { // where it was interrupted
		return t.stop(ctx, err)
	}
	feed := data.Feed{
		Batch: t.Batch, Seed: uint64(t.Seed), Augment: t.Augment, Start: t.step, End: t.total,
		Threads: t.engine.Threads(), Resolution: t.resolution,
	}
	for batch, err := range t.images.Stream(ctx, feed) {
		if err != nil {
			return t.stop(ctx, err)
		}
		if err := t.one(ctx, batch); err != nil {
			return t.stop(ctx, err)
		}
	}
	return t.save()
}

// one trains one step, and measures and saves when it is time.
func (t *training) one(ctx context.Context, batch *data.Batch) error {
	p := t.span(t.step)
	t.enter(p)
	res, err := t.update(p, batch)
	if err != nil {
		return err
	}
	t.curve.add(res, batch.N)
	t.step++
	if err := t.measure(ctx); err != nil {
		return err
	}
	t.task.Report(t.progress(t.note(p)))
	if time.Since(t.saved).Seconds() >= t.CheckpointEvery {
		return t.save()
	}
	return nil
}

// span returns the phase of a step.
func (t *training) span(step int) span {
	for _, p := range t.spans {
		if step < p.last {
			return p
		}
	}
	return t.spans[len(t.spans)-1]
}

// enter prepares a phase before its first step.
func (t *training) enter(p span) {
	if t.step != p.first {
		return
	}
	if p.Distill > 0 && t.teacher == nil {
		t.teacher = t.net.Clone()
	}
	if p.Sort {
		before := t.Space.Expansions
		for _, q := range t.spans {
			if q.last == p.first && q.last > q.first {
				before = q.choices.Expansions
			}
		}
		t.trainer.SortChannels(before)
	}
}

// rng returns the random source of a step.
func (t *training) rng(step int, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(t.Seed)<<32|purpose, uint64(step)))
}

// resolution draws the resolution of a step's batch.
func (t *training) resolution(step int) int {
	if n := t.span(step).Subnet; n != nil {
		return n.Resolution
	}
	return t.Space.Resolutions[t.rng(step, 1).IntN(len(t.Space.Resolutions))]
}

// update runs the step's subnets on the batch, adds up their gradients and
// updates the weights. It returns what the first subnet gave.
func (t *training) update(p span, batch *data.Batch) (first nn.Result, err error) {
	hard := nn.Loss{Hard: 1, Smoothing: t.Smoothing}
	soft, teacher := hard, []float32(nil)
	if p.Distill > 0 {
		largest := p.largest
		largest.Resolution = batch.H
		teacher = t.trainer.Predict(t.teacher, largest, batch)
		soft.Soft = p.Distill
	}
	for i, n := range p.draw(t.rng(t.step, 2), batch.H) {
		loss := hard
		if i > 0 || teacher != nil {
			loss = soft
		}
		var res nn.Result
		if i == 0 {
			res = t.trainer.Grad(n, batch, loss, teacher)
		} else {
			res = t.trainer.GradAgain(n, loss, teacher)
		}
		if res.Diverged() {
			return res, t.diverged(p, n, res)
		}
		if i == 0 {
			first = res
			if p.Rule == SandwichRule {
				teacher, soft = t.trainer.Predictions(), nn.Loss{Soft: 1}
			}
		}
	}
	t.trainer.Step(nn.SGD{Rate: p.rate(t.step), Momentum: t.Momentum, Nesterov: t.Nesterov, Decay: t.Decay})
	return first, nil
}

// errDiverged reports a loss that is not a number.
var errDiverged = errors.New("training diverged")

func (t *training) diverged(p span, n arch.Subnet, res nn.Result) error {
	last := "there is no checkpoint before it"
	if path := t.store.latest(); path != "" {
		last = "the last good checkpoint is " + path
	}
	return fmt.Errorf("step %d of %d, phase %q, subnet %v: the loss is %v: %w: lower rate (now %.3g) or lengthen warmup; %s",
		t.step+1, t.total, p.Name, n, res.Loss, errDiverged, p.rate(t.step), last)
}

// stop saves what is worth saving before the training ends early.
func (t *training) stop(ctx context.Context, cause error) error {
	switch {
	case errors.Is(cause, errDiverged):
		if t.store.dir != "" {
			path := filepath.Join(t.store.dir, "curve.csv")
			if err := t.curve.writeCSV(path); err == nil {
				cause = fmt.Errorf("%w; the curve so far is %s", cause, path)
			}
		}
	case ctx.Err() != nil:
		if err := t.save(); err != nil {
			return fmt.Errorf("%w, and saving a checkpoint failed: %w", cause, err)
		}
		t.task.Log().Info().Msgf("interrupted at step %d of %d, saved", t.step, t.total)
	}
	return cause
}

// measure adds a point to the curve when an epoch or a phase ends.
func (t *training) measure(ctx context.Context) error {
	if t.step == 0 {
		return nil
	}
	p := t.span(t.step - 1)
	if last := t.curve.last(); last != nil && last.Step == t.step || t.step%t.perEpoch != 0 && t.step != p.last {
		return nil
	}
	pt := t.curve.point(t.step, float64(t.step)/float64(t.perEpoch), p.Name, p.rate(t.step-1))
	if t.peek.Len() > 0 {
		v := t.evaluator(t.peek)
		var err error
		if pt.Largest, err = v.Accuracy(ctx, t.Space.Largest()); err != nil {
			return err
		}
		if pt.Smallest, err = v.Accuracy(ctx, t.Space.Smallest()); err != nil {
			return err
		}
	}
	t.curve.push(pt)
	return nil
}

// progress says how far the training is.
func (t *training) progress(note string) pipeline.Progress {
	return pipeline.Progress{Done: float64(t.step * t.Batch), Total: float64(t.total * t.Batch), Unit: "images", Note: note}
}

// note describes the state in a few words.
func (t *training) note(p span) string {
	loss, top1 := t.curve.recent()
	note := fmt.Sprintf("%s, loss %.3f, top-1 %.3f", p.Name, loss, top1)
	if r := t.curve.last(); r != nil && t.peek.Len() > 0 {
		note += fmt.Sprintf("; on test images: largest %.3f, smallest %.3f", r.Largest, r.Smallest)
	}
	return note
}
