package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/pipeline/mistake"
)

// Plan is all that a training's result depends on, beside the backend, the images and the
// first weights.
type Plan struct {
	Settings
	Space   arch.Space
	Phases  []Phase
	Holdout int          // training images that are kept back
	Network *arch.Subnet // the one that alone is trained, and the curve is of; nil for a supernet

	Quantise int // see [Pass]
}

// Alone returns the plan of a training of one subnet alone.
func Alone(s Settings, space arch.Space, n arch.Subnet, epochs float64) Plan {
	return Plan{Settings: s, Space: space, Network: &n, Phases: []Phase{{Name: "training", Epochs: epochs, Warmup: s.Warmup, Rule: FixedRule, Subnet: &n}}}
}

// Settings are what all trainings have.
type Settings struct {
	Batch     int          `json:"batch" min:"1" doc:"images in a step"`
	Rate      float64      `json:"rate" min:"0" doc:"learning rate at the start; it falls to 0 along a cosine in each phase"`
	Warmup    float64      `json:"warmup,omitempty" min:"0" doc:"epochs over which the rate first rises, in the first phase"`
	Momentum  float64      `json:"momentum" min:"0" max:"1" doc:"of stochastic gradient descent"`
	Nesterov  bool         `json:"nesterov" doc:"Nesterov's momentum"`
	Decay     float64      `json:"weight_decay" min:"0" doc:"weight decay; not of batch normalisation and biases"`
	Smoothing float64      `json:"label_smoothing" min:"0" max:"1" doc:"this much of each label is spread over all classes"`
	Augment   data.Augment `json:"augment,omitzero" doc:"how training images are varied at random"`
	Seed      uint32       `json:"seed,omitempty" doc:"of the weights, the order of images and the subnets"`

	Calibration int `json:"calibration" min:"1" doc:"training images from which a subnet's batch normalisation takes its statistics"`
	CurveImages int `json:"curve_images,omitempty" min:"0" doc:"test images on which the network, or the largest and the smallest subnet, is measured after each epoch, for the curve; 0 for none"`
}

// Defaults returns the paper's settings (section 3.1), and Once-for-All's where the paper gives none.
func Defaults() Settings {
	return Settings{Batch: 64, Rate: 0.03, Momentum: 0.9, Nesterov: true, Decay: 3e-5, Smoothing: 0.1, Calibration: 2000, CurveImages: 1000}
}

// Steps returns the steps of some epochs over images. The last images of an epoch, too few for a
// batch, make none.
func (s Settings) Steps(epochs float64, images int) int {
	return int(math.Round(epochs * float64(images/s.Batch)))
}

// CheckImages reports, to a configuration's report, a set in the attribute dataset that has too
// few images to train on, or to calibrate.
func (s Settings) CheckImages(r *mistake.Report, set data.Set, holdout int) {
	n := set.Train.Count
	if !r.Knows("dataset.train.count", "holdout") || n == 0 {
		return
	}
	if n <= holdout {
		r.At("holdout").Badf("%d images held out of %d leave none to train on", holdout, n)
	} else if r.Knows("batch") && n-holdout < s.Batch {
		r.At("batch").Badf("%d images, but the data set has only %d to train on", s.Batch, n-holdout)
	}
	meter.CheckCalibration(r, &set, holdout, s.Calibration)
}

// CheckEpochs reports epochs, in the attribute of this name, that make no step.
func (s Settings) CheckEpochs(r *mistake.Report, attribute string, epochs float64, set data.Set, holdout int) {
	images := set.Train.Count - holdout
	if r.Knows(attribute, "batch", "holdout", "dataset.train.count") && s.Batch > 0 && images >= s.Batch && s.Steps(epochs, images) < 1 {
		r.At(attribute).Badf("too few: they make no step of %d images, of which there are %d", s.Batch, images)
	}
}

// Execution is how a training is carried out, as recipes write it. No result depends on it.
type Execution struct {
	Threads         int     `json:"threads,omitempty" min:"0" key:"-" doc:"0 for what the run grants; more than 8 are of no use"`
	CheckpointEvery float64 `json:"checkpoint_every" min:"0" unit:"s" key:"-" doc:"how often the state is saved"`
}

// Options are what no result depends on.
type Options struct {
	Execution
	Dir    string // where checkpoints are kept; "" for nowhere
	Log    *zerolog.Logger
	Report func(images, of int, note string) // how far the training is
}

// due reports whether a checkpoint is due that was saved last at a time.
func (o Options) due(saved time.Time) bool { return time.Since(saved).Seconds() >= o.CheckpointEvery }

// Training is a training under way. All that is random in a step is drawn from the seed and
// the step's number, so that the state is the backend's and the curve.
type Training struct {
	Plan
	Options
	set      data.Set
	spans    []span
	perEpoch int
	total    int // steps

	backend Backend
	step    int // steps done
	entered int // the step before which the current phase was prepared
	curve   curve
	store   store
	saved   time.Time
}

// New lays out a training on a set. It has no step where the epochs are too few.
func New(p Plan, set data.Set, o Options) *Training {
	t := &Training{Plan: p, Options: o, set: set, store: store{dir: o.Dir}, entered: -1}
	t.perEpoch = p.Steps(1, set.Train.Count-p.Holdout)
	t.spans = p.spans(t.perEpoch)
	t.total = t.spans[len(t.spans)-1].last
	return t
}

// Steps returns how many steps the whole training has.
func (t *Training) Steps() int { return t.total }

// Job returns what a backend is opened for that trains a supernet.
func (t *Training) Job(s *nn.Supernet) Job {
	return Job{
		Supernet: s, Set: t.set, Holdout: t.Holdout,
		Batch: t.Batch, Seed: uint64(t.Seed), Augment: t.Augment, Resolution: t.resolution, Steps: t.total,
	}
}

// Run goes back to the last checkpoint, if there is one, and does the steps that are left.
// When it is cancelled it saves a checkpoint first.
func (t *Training) Run(ctx context.Context, b Backend) error {
	t.backend = b
	if err := t.resume(ctx); err != nil {
		return err
	}
	for {
		if err := t.measure(ctx); err != nil { // also where it was interrupted
			return t.stop(ctx, err)
		}
		if t.step == t.total {
			return t.save(ctx)
		}
		if err := t.segment(ctx); err != nil {
			return t.stop(ctx, err)
		}
		if t.due(t.saved) {
			if err := t.save(ctx); err != nil {
				return err
			}
		}
	}
}

// resume goes back to the newest checkpoint that is whole.
func (t *Training) resume(ctx context.Context) error {
	ck, damaged, err := t.store.load()
	if err != nil {
		return err
	}
	for _, d := range damaged {
		t.Log.Warn().Err(d).Msg("checkpoint is damaged, going back to the one before")
	}
	t.saved = time.Now()
	if ck == nil {
		t.Log.Info().Msgf("training %d steps of %d images", t.total, t.Batch)
		return nil
	}
	if err := t.backend.SetState(ctx, ck.state); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", ck.Step, err)
	}
	t.step, t.curve = ck.Step, ck.Curve
	note := fmt.Sprintf("resuming from step %d of %d", t.step, t.total)
	t.Log.Info().Int("step", t.step).Int("steps", t.total).Msg(note)
	t.Tell(note)
	return nil
}

// segment does steps until there is something else to do: measure, prepare a phase, save.
func (t *Training) segment(ctx context.Context) error {
	p := t.span(t.step)
	if err := t.enter(ctx, p); err != nil {
		return err
	}
	end := min(p.last, (t.step/t.perEpoch+1)*t.perEpoch)
	return t.backend.Train(ctx, t.steps(ctx, p, end), func(_ Step, r nn.Result) {
		t.curve.add(r, t.Batch)
		t.step++
		t.Tell(t.note(p))
	})
}

// steps yields the steps of a phase up to an end, or until a checkpoint is due.
func (t *Training) steps(ctx context.Context, p span, end int) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		start := t.step
		for i := start; i < end; i++ {
			due := i > start && t.due(t.saved)
			if due || ctx.Err() != nil || !yield(t.draw(p, i)) {
				return
			}
		}
	}
}

// draw draws a step.
func (t *Training) draw(p span, number int) Step {
	s := Step{
		Number: number, Resolution: t.resolution(number),
		SGD: nn.SGD{Rate: p.rate(number), Momentum: t.Momentum, Nesterov: t.Nesterov, Decay: t.Decay},
	}
	hard := nn.Loss{Hard: 1, Smoothing: t.Smoothing}
	first, others := Pass{Loss: hard}, Pass{Loss: hard}
	switch {
	case p.Rule == SandwichRule:
		others = Pass{Loss: nn.Loss{Soft: 1}, From: FromFirst}
	case p.Distill > 0:
		largest := p.largest
		largest.Resolution = s.Resolution
		s.Teacher = &largest
		hard.Soft = p.Distill
		first = Pass{Loss: hard, From: FromTeacher}
		others = first
	}
	for i, n := range p.draw(t.rng(number, 2), s.Resolution) {
		pass := others
		if i == 0 {
			pass = first
		}
		pass.Subnet, pass.Quantise = n, t.Quantise
		s.Passes = append(s.Passes, pass)
	}
	return s
}

// span returns the phase of a step.
func (t *Training) span(step int) span {
	for _, p := range t.spans {
		if step < p.last {
			return p
		}
	}
	return t.spans[len(t.spans)-1]
}

// enter prepares a phase before its first step.
func (t *Training) enter(ctx context.Context, p span) error {
	if t.step != p.first || t.entered == p.first {
		return nil
	}
	if p.Distill > 0 && !t.taught(p) {
		if err := t.backend.KeepTeacher(ctx); err != nil {
			return err
		}
	}
	if p.Sort {
		before := t.Space.Expansions
		for _, q := range t.spans {
			if q.last == p.first && q.last > q.first {
				before = q.choices.Expansions
			}
		}
		if err := t.backend.SortChannels(ctx, before); err != nil {
			return err
		}
	}
	t.entered = p.first
	return nil
}

// taught reports whether a phase before p has a teacher, which is kept for all.
func (t *Training) taught(p span) bool {
	for _, q := range t.spans {
		if q.first < p.first && q.last > q.first && q.Distill > 0 {
			return true
		}
	}
	return false
}

// rng returns the random source of a step.
func (t *Training) rng(step int, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(t.Seed)<<32|purpose, uint64(step)))
}

// resolution draws the resolution of a step's batch.
func (t *Training) resolution(step int) int {
	if n := t.span(step).Subnet; n != nil {
		return n.Resolution
	}
	return t.Space.Resolutions[t.rng(step, 1).IntN(len(t.Space.Resolutions))]
}

// diverged says what to do about a loss that is no finite number.
func (t *Training) diverged(err *DivergedError) error {
	last := "there is no checkpoint before it"
	if path := t.store.latest(); path != "" {
		last = "the last good checkpoint is " + path
	}
	return fmt.Errorf("%w: training diverged in phase %q, of %d steps in all: lower rate (now %.3g) or lengthen warmup; %s",
		err, t.span(err.Step.Number).Name, t.total, err.Step.SGD.Rate, last)
}

// stop saves what is worth saving before the training ends early.
func (t *Training) stop(ctx context.Context, cause error) error {
	var diverged *DivergedError
	switch {
	case errors.As(cause, &diverged):
		cause = t.diverged(diverged)
		if t.store.dir != "" {
			path := filepath.Join(t.store.dir, "curve.csv")
			if err := t.curve.writeCSV(path, t.lines()); err == nil {
				cause = fmt.Errorf("%w; the curve so far is %s", cause, path)
			}
		}
	case ctx.Err() != nil || errors.Is(cause, ErrStopped):
		if t.step == max(t.entered, 0) { // the phase would be prepared twice
			return cause
		}
		if err := t.save(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("%w, and saving a checkpoint failed: %w", cause, err)
		}
		t.Log.Info().Msgf("interrupted at step %d of %d, saved", t.step, t.total)
		if ctx.Err() == nil {
			cause = fmt.Errorf("%w at step %d of %d, which is saved: run again to go on", cause, t.step, t.total)
		}
	}
	return cause
}

// measure adds a point to the curve when an epoch or a phase has ended.
func (t *Training) measure(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if t.step == 0 {
		return nil
	}
	p := t.span(t.step - 1)
	if last := t.curve.last(); last != nil && last.Step == t.step || t.step%t.perEpoch != 0 && t.step != p.last {
		return nil
	}
	pt := t.curve.point(t.step, float64(t.step)/float64(t.perEpoch), p.Name, p.rate(t.step-1))
	if n := min(t.CurveImages, t.set.Test.Count); n > 0 {
		some := data.Selection{Part: data.TestPart}.Drawn(data.Draw{Count: n, Seed: uint64(t.Seed), Epoch: -1})
		if err := t.point(ctx, &pt, some); err != nil {
			return err
		}
	}
	t.curve.push(pt)
	return nil
}

// point measures for a point of the curve.
func (t *Training) point(ctx context.Context, pt *point, images data.Selection) (err error) {
	if t.Network != nil {
		pt.Network, err = t.Top1(ctx, *t.Network, meter.On{Statistics: t.Statistics(), Images: images, Batch: t.Batch})
		return err
	}
	pt.Largest, pt.Smallest, err = t.Ends(ctx, images)
	return err
}

// Ends measures the largest and the smallest subnet on some images.
func (t *Training) Ends(ctx context.Context, images data.Selection) (largest, smallest float64, err error) {
	on := meter.On{Statistics: t.Statistics(), Images: images, Batch: t.Batch}
	if largest, err = t.Top1(ctx, t.Space.Largest(), on); err == nil {
		smallest, err = t.Top1(ctx, t.Space.Smallest(), on)
	}
	return largest, smallest, err
}

// Top1 measures a subnet.
func (t *Training) Top1(ctx context.Context, n arch.Subnet, on meter.On) (top1 float64, err error) {
	err = t.backend.Accuracies(ctx, []arch.Subnet{n}, on, func(_ int, v float64) error {
		top1 = v
		return nil
	})
	return top1, err
}

// Statistics returns the training images from which batch normalisation is estimated.
func (t *Training) Statistics() data.Selection {
	return data.Selection{Part: data.TrainPart, Holdout: t.Holdout}.Drawn(data.Draw{Count: t.Calibration, Seed: uint64(t.Seed), Epoch: -1})
}

// Tell reports how far the training is, and what it does.
func (t *Training) Tell(note string) {
	if t.Report != nil {
		t.Report(t.step*t.Batch, t.total*t.Batch, note)
	}
}

// note describes the state in a few words.
func (t *Training) note(p span) string {
	loss, top1 := t.curve.recent()
	note := fmt.Sprintf("%s, loss %.3f, top-1 %.3f", p.Name, loss, top1)
	switch r := t.curve.last(); {
	case r == nil || t.CurveImages == 0:
	case t.Network != nil:
		note += fmt.Sprintf("; on test images %.3f", r.Network)
	default:
		note += fmt.Sprintf("; on test images: largest %.3f, smallest %.3f", r.Largest, r.Smallest)
	}
	return note
}
