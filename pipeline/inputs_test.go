package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/store/storetest"
)

// whole is a stage that returns what it reads, slowly, of a file or of a tree's file "in".
var whole = Define("whole", 1, "", readConfig{}, func(_ context.Context, _ *Task, c readConfig) (readOutput, error) {
	path := c.In.Path
	if fi, err := os.Stat(path); err != nil {
		return readOutput{}, err
	} else if fi.IsDir() {
		path = filepath.Join(path, "in")
	}
	time.Sleep(time.Millisecond)
	b, err := os.ReadFile(path)
	return readOutput{Text: string(b)}, err
})

// A result belongs to the content that its key names, however an input flips between
// two contents meanwhile: by a link, by renaming it or a directory above it, by
// writing over it and setting its time back.
func TestFlippedInputs(t *testing.T) {
	const flips = 250
	for name, flip := range map[string]struct {
		in   string // what the recipe names
		make func(dir string)
		to   func(dir string, i int)
	}{
		"link": {"in",
			func(dir string) { write(dir, "0", "zero"); write(dir, "1", "one") },
			func(dir string, i int) {
				os.Symlink(fmt.Sprint(i), filepath.Join(dir, "new"))
				os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "in"))
			}},
		"rename of a file": {"in",
			func(dir string) { write(dir, "in", "zero"); write(dir, "other", "one") },
			func(dir string, _ int) { swap(dir, "in", "other") }},
		"rename of a directory": {"d/in",
			func(dir string) { write(dir, "d/in", "zero"); write(dir, "e/in", "one") },
			func(dir string, _ int) { swap(dir, "d", "e") }},
		"rename in a tree": {"d",
			func(dir string) { write(dir, "d/in", "zero"); write(dir, "other", "one") },
			func(dir string, _ int) { swap(dir, "d/in", "other") }},
		"written over": {"in",
			func(dir string) { write(dir, "in", "zero") },
			func(dir string, i int) {
				path := filepath.Join(dir, "in")
				write(dir, "in", [...]string{"zero", "one!"}[i])
				os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0))
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dir, done := storetest.New(t), t.TempDir(), make(chan struct{})
			flip.make(dir)
			flip.to(dir, 0)
			var meddler sync.WaitGroup
			meddler.Go(func() {
				random := rand.New(rand.NewPCG(1, 2))
				for i := 1; i <= flips; i++ {
					flip.to(dir, i%2)
					time.Sleep(time.Duration(random.IntN(4000)) * time.Microsecond)
				}
				close(done)
			})
			defer meddler.Wait()
			runs, results := 0, map[string]bool{}
			for open := true; open; runs++ {
				select {
				case <-done:
					open = false // and once more, with nothing moving
				default:
				}
				s := step("a", whole, map[string]any{"in": artifacts.Local(filepath.Join(dir, flip.in))})
				p, err := NewPlan(t.Context(), recipe(s), store, PlanOptions{Rerun: []string{"a"}})
				if err != nil {
					continue // between two renames there is no file
				}
				run, err := Execute(t.Context(), p, store, RunOptions{})
				if err != nil || run.Status != Succeeded {
					continue
				}
				var out readOutput
				if err := json.Unmarshal(run.Steps[0].Record.Output, &out); err != nil {
					t.Fatal(err)
				}
				text := out.Text
				results[text] = true
				if !strings.Contains(string(run.Steps[0].Record.Preimage), digestOf(flip.in, text)) {
					t.Fatalf("run %d: read %q under the key of something else: %s", runs, text, run.Steps[0].Record.Preimage)
				}
			}
			if len(results) != 2 && name != "written over" {
				t.Errorf("%d runs saw only %v: the test did not try what it should", runs, results)
			}
		})
	}
}

// digestOf returns the digest that a key has of the input whose file holds text.
func digestOf(in, text string) string {
	if in == "d" {
		return fmt.Sprintf(`"size":%d,"tree":true`, len(text)) // "zero" and "one" differ in it
	}
	return artifacts.Sum([]byte(text)).String()
}

func write(dir, name, text string) {
	path := filepath.Join(dir, name)
	os.MkdirAll(filepath.Dir(path), 0o777)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		panic(err)
	}
}

func swap(dir, a, b string) {
	a, b, spare := filepath.Join(dir, a), filepath.Join(dir, b), filepath.Join(dir, "spare")
	os.Rename(a, spare)
	os.Rename(b, a)
	os.Rename(spare, b)
}

// A stage reads a snapshot by the file's own name, and what it says of it, in an error
// and in its log, has the path that the recipe names.
func TestInputsKeepTheirNames(t *testing.T) {
	store, dir := storetest.New(t), t.TempDir()
	path := filepath.Join(dir, `with "quotes".csv`)
	write(dir, filepath.Base(path), "text")
	complain := Define("complain", 1, "", readConfig{}, func(_ context.Context, task *Task, c readConfig) (numOutput, error) {
		write(dir, filepath.Base(path), "changed")
		if b, err := c.In.ReadFile(); err != nil || string(b) != "text" || filepath.Base(c.In.Path) != filepath.Base(path) {
			t.Errorf("read %q at %s, %v", b, c.In.Path, err)
		}
		task.Log().Info().Str("file", c.In.Path).Msg("reading")
		return numOutput{}, errors.Join(errors.New(c.In.Path+":5: no number"), context.DeadlineExceeded)
	})
	var log []string
	p := plan(t, store, recipe(step("a", complain, map[string]any{"in": artifacts.Local(path)})))
	run, err := Execute(t.Context(), p, store, RunOptions{LogLevel: zerolog.InfoLevel, Observe: func(e Event) {
		if e.Type == StepLog {
			log = append(log, string(e.Log))
		}
	}})
	if err != nil || run.Status != Failed {
		t.Fatal(run.Status, err)
	}
	if err := run.Steps[0].Err; !strings.Contains(err.Error(), path+":5: no number") || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if want := inJSON(path); len(log) != 1 || !strings.Contains(log[0], `"file":"`+want+`"`) {
		t.Errorf("log %q, want %s", log, want)
	}
}

// A tree that is handed through loses one of its objects, though it is still laid out
// for reading: one run puts it back.
func TestLostObjectOfAHandedTree(t *testing.T) {
	through := Define("through", 1, "", readConfig{}, func(_ context.Context, _ *Task, c readConfig) (readOutput, error) {
		return readOutput{Copy: c.In}, nil
	})
	dir := t.TempDir()
	store, err := store.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	write(dir, "tree/a", "one")
	write(dir, "tree/b/c", "two")
	r := recipe(step("a", through, map[string]any{"in": artifacts.Local(filepath.Join(dir, "tree"))}),
		step("b", through, map[string]any{"in": ref{"a", "copy"}}))
	execute(t, store, r)
	for _, removes := range []string{"one", "two"} {
		object, err := store.Fetch(t.Context(), artifacts.File{Digest: artifacts.Sum([]byte(removes))})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(object.Path); err != nil {
			t.Fatal(err)
		}
		if p := plan(t, store, r); p.AllCached() {
			t.Fatal("a lost object was not missed")
		}
		if run := execute(t, store, r); run.Status != Succeeded {
			t.Fatal(run.Steps[0].Err, run.Steps[1].Err)
		}
		if p := plan(t, store, r); !p.AllCached() {
			t.Errorf("after the run that put it back: %s, %s", p.Steps[0].Verdict, p.Steps[1].Verdict)
		}
	}
}
