package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"eyrie/hcl"
	"eyrie/pipeline"
)

// watch runs again and again: whenever a file changes that the recipe is written in, reads or
// names. It looks at their stamps, as notifications miss changes on network file systems.
func (r *runner) watch(parent context.Context) error {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	out := r.out
	for {
		started := time.Now()
		next := *r
		err := next.run(parent)
		r.out = out // the run had its own
		if exitCode(err) == exitInterrupted || ctx.Err() != nil {
			return err
		}
		if err != nil {
			r.complain(err)
		}
		if next.made != nil { // of a recipe with mistakes those of the last one without count
			r.inputs = inputsOf(next.made)
		}
		changed, err := r.await(ctx, started)
		if err != nil {
			return nil // Ctrl-C while nothing runs
		}
		r.notice("\n" + changed + " changed")
	}
}

// Between looks at the files, how long they must have been at rest, and by how much a file
// may seem older than it is, since systems stamp files by a clock that ticks now and then.
const (
	watchPause = 250 * time.Millisecond
	watchRest  = 100 * time.Millisecond
	watchTick  = 20 * time.Millisecond
)

// await waits until one of the watched files is another than when the run began, and all of
// them have come to rest, and returns its name.
func (r *runner) await(ctx context.Context, started time.Time) (string, error) {
	before := r.stamps()
	began := started.Add(-watchTick)
	for path, s := range before {
		if s.changed.After(began) { // while the run went on
			return nearby(path), nil
		}
	}
	r.notice(fmt.Sprintf("watching %d files; Ctrl-C ends", len(before)))
	for pause := watchPause; ; {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pause):
		}
		begin := time.Now()
		now := r.stamps()
		pause = max(watchPause, 10*time.Since(begin)) // a tenth of a CPU at most
		path, differs := firstChange(before, now)
		if !differs {
			continue
		}
		for rest := now; ; rest = now {
			select {
			case <-ctx.Done(): // also where something never comes to rest
				return "", ctx.Err()
			case <-time.After(watchRest):
			}
			if now = r.stamps(); maps.Equal(rest, now) {
				return nearby(path), nil
			}
		}
	}
}

// stamp is what is seen of a file without reading it.
type stamp struct {
	size    int64
	changed time.Time
}

// firstChange returns the first path, in order, whose stamp differs.
func firstChange(before, now map[string]stamp) (first string, differs bool) {
	note := func(path string) {
		if !differs || path < first {
			first, differs = path, true
		}
	}
	for path, s := range now {
		if was, ok := before[path]; !ok || was != s {
			note(path)
		}
	}
	for path := range before {
		if _, ok := now[path]; !ok {
			note(path)
		}
	}
	return first, differs
}

// stamps looks at all that is watched: the recipe's files, those that its functions read, and
// those that its steps take, of a directory all that is in it.
func (r *runner) stamps() map[string]stamp {
	all := make(map[string]stamp)
	add := func(path string, info fs.FileInfo, err error) {
		if err != nil {
			all[path] = stamp{size: -1}
		} else if !info.IsDir() {
			all[path] = stamp{info.Size(), info.ModTime()}
		}
	}
	names, _ := hcl.Files(r.recipe) // where there is none, the recipe's own name is watched
	names = append(append(names, r.recipe), r.varFiles...)
	if r.reads != nil {
		names = append(names, r.reads.paths()...)
	}
	for _, name := range append(names, r.inputs...) {
		info, err := os.Stat(name)
		if add(name, info, err); err != nil || !info.IsDir() || name == r.recipe {
			continue
		}
		_ = filepath.WalkDir(name, func(path string, _ fs.DirEntry, err error) error {
			info, statErr := os.Stat(path)
			add(path, info, errors.Join(err, statErr))
			return nil
		})
	}
	return all
}

// inputsOf returns the files and directories that a plan's steps take.
func inputsOf(p *pipeline.Plan) []string {
	var all []string
	for _, s := range p.Steps {
		for _, src := range s.Sources() {
			if src.Path != "" {
				all = append(all, src.Path)
			}
		}
	}
	return all
}
