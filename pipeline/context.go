package pipeline

import (
	"context"
	"path/filepath"
	"runtime"

	"github.com/rs/zerolog"
)

// Env is what a running stage may use besides its configuration. The runner
// puts it into the stage's context; a test may do so itself with [With].
// A stage logs through zerolog.Ctx(ctx).
type Env struct {
	Work       string            // an empty directory for the files it makes
	Checkpoint string            // a directory that survives a kill; "" for none
	CPUs       int               // how many threads it may keep busy; 0 for all
	GPUs       []int             // which GPUs are its own
	Progress   func(Progress)    // nil for nobody
	Lineage    func() []Ancestor // see Lineage; nil for none

	open func() (checkpoint string, err error) // makes the checkpoint's directory when a stage asks for it; nil where Checkpoint names it
}

// Progress is how far a stage has come.
type Progress struct {
	Done  float64 `json:"done"`
	Total float64 `json:"total,omitempty"` // 0 when unknown
	Unit  string  `json:"unit,omitempty"`  // what is counted: "images", "steps"
	Note  string  `json:"note,omitempty"`  // a few words: "phase 2/3, loss 0.41, top-1 0.87"
}

type envKey struct{}

// With returns a context in which a stage finds env.
func With(ctx context.Context, env Env) context.Context {
	return context.WithValue(ctx, envKey{}, env)
}

func env(ctx context.Context) Env {
	e, _ := ctx.Value(envKey{}).(Env)
	return e
}

// Report tells whoever watches how far the stage has come. It is cheap: the
// runner throttles. Call it as often as is natural.
func Report(ctx context.Context, p Progress) {
	if f := env(ctx).Progress; f != nil {
		f(p)
	}
}

// Path returns where the stage may write a file or directory called name, to
// be returned as artifacts.Local(path).
func Path(ctx context.Context, name string) string {
	work := env(ctx).Work
	if work == "" {
		panic("pipeline.Path: the context has no work directory; in a test, use pipeline.With")
	}
	return filepath.Join(work, name)
}

// Checkpoint returns the directory in which the stage may keep what it needs
// to go on after an interruption: it is the same, with its content, when the
// same action is started again, and is removed when the action succeeds. It is
// empty, "", where nothing can be kept.
func Checkpoint(ctx context.Context) string {
	e := env(ctx)
	if e.open == nil {
		return e.Checkpoint
	}
	dir, err := e.open()
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("no checkpoint can be kept")
		return ""
	}
	return dir
}

// CPUs returns how many threads the stage may keep busy.
func CPUs(ctx context.Context) int {
	if n := env(ctx).CPUs; n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// GPUs returns the numbers of the GPUs that are the stage's own while it runs.
func GPUs(ctx context.Context) []int { return env(ctx).GPUs }
