package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// testStages are the stages of the scripts' recipes. Each adds a line to the
// file $TRACE when it runs, so that a script sees what ran, and how often.
var testStages = []*pipeline.Stage{
	pipeline.Define("value", 1, "Gives what it takes. The simplest stage of all.", valueConfig{}, runValue),
	pipeline.Define("write", 1, "Writes text to a file.", writeConfig{Name: "out.txt"}, runWrite),
	pipeline.Define("read", 1, "Reads a file.", readConfig{}, runRead),
	pipeline.Define("list", 1, "Lists a directory, and hands it on.", listConfig{}, runList),
	pipeline.Define("sum", 1, "Adds numbers.", sumConfig{}, runSum),
	pipeline.Define("slow", 1, `Counts slowly, and goes on from its checkpoint. What it counts
is up to the test.

    tick = "20ms"
    steps = 3`, slowConfig{Tick: 0.02}, runSlow),
	pipeline.Define("stubborn", 1, "Sleeps, and does not stop when it is told to.", stubbornConfig{}, runStubborn),
	pipeline.Define("fail", 1, "Fails.", failConfig{Message: "it was told to"}, runFail),
	pipeline.Define("panic", 1, "Panics.", struct{}{}, runPanic),
	pipeline.Define("bolt", 1, "Panics in a goroutine of its own.", struct{}{}, runBolt),
	pipeline.Define("hoard", 1, "Allocates without end.", struct{}{}, runHoard),
	pipeline.Define("parent", 1, "Starts a process that sleeps, and waits for it.", struct{}{}, runParent),
	pipeline.Define("chatter", 1, "Prints.", struct{}{}, runChatter),
}

var tracing sync.Mutex

// trace adds a line to the file $TRACE, and leaves the process's id beside it.
func trace(format string, args ...any) {
	path := os.Getenv("TRACE")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	tracing.Lock()
	defer tracing.Unlock()
	own := fmt.Sprintf("%s.%d", path, os.Getpid()) // renamed, as a script may read it at any time
	if err := errors.Join(os.WriteFile(own, fmt.Append(nil, os.Getpid()), 0o666), os.Rename(own, path+".pid")); err != nil {
		panic(err)
	}
	fmt.Fprintf(f, format+"\n", args...)
}

type valueConfig struct {
	Value any `json:"value" doc:"What to give."`
}

type valueOutput struct {
	Value any `json:"value" doc:"What was taken." provenance:"measured"`
}

func runValue(_ context.Context, _ *pipeline.Task, c valueConfig) (valueOutput, error) {
	trace("value %v", c.Value)
	return valueOutput(c), nil
}

type writeConfig struct {
	Name string `json:"name" doc:"The file's name."`
	Text string `json:"text" doc:"What to write."`
}

type writeOutput struct {
	File artifacts.File `json:"file"`
}

func runWrite(_ context.Context, task *pipeline.Task, c writeConfig) (writeOutput, error) {
	trace("write %s", c.Text)
	path := task.Path(c.Name)
	return writeOutput{artifacts.Local(path)}, os.WriteFile(path, []byte(c.Text), 0o666)
}

type readConfig struct {
	File artifacts.File `json:"file" is:"file" doc:"What to read."`
}

type readOutput struct {
	Text string `json:"text"`
}

func runRead(_ context.Context, _ *pipeline.Task, c readConfig) (readOutput, error) {
	b, err := c.File.ReadFile()
	trace("read %s", b)
	return readOutput{strings.TrimSpace(string(b))}, err
}

type listConfig struct {
	Dir artifacts.File `json:"dir" is:"dir" doc:"What to list."`
}

type listOutput struct {
	Names []string       `json:"names"`
	Dir   artifacts.File `json:"dir"`
}

func runList(_ context.Context, _ *pipeline.Task, c listConfig) (listOutput, error) {
	o := listOutput{Dir: c.Dir}
	entries, err := os.ReadDir(c.Dir.Path)
	for _, e := range entries {
		o.Names = append(o.Names, e.Name())
	}
	trace("list %v", o.Names)
	return o, err
}

type sumConfig struct {
	Values []float64 `json:"values" doc:"What to add." min:"-1000" max:"1000"`
	Mode   string    `json:"mode,omitempty" doc:"How to add." oneof:"exact,fast"`
}

type sumOutput struct {
	Total float64 `json:"total" doc:"The sum." provenance:"modelled"`
}

func runSum(_ context.Context, _ *pipeline.Task, c sumConfig) (sumOutput, error) {
	trace("sum %v", c.Values)
	var o sumOutput
	for _, v := range c.Values {
		o.Total += v
	}
	return o, nil
}

type slowConfig struct {
	Steps int     `json:"steps" doc:"How far to count." min:"1" max:"100000"`
	Tick  float64 `json:"tick"  doc:"How long a count takes." unit:"s"`
	Seed  int     `json:"seed,omitempty" doc:"Makes another action of it."`
}

type slowOutput struct {
	Counted int    `json:"counted"`
	State   uint32 `json:"state"` // depends on every count: a wrong resume gives another
}

func runSlow(ctx context.Context, task *pipeline.Task, c slowConfig) (slowOutput, error) {
	var o slowOutput
	saved := filepath.Join(task.Checkpoint(), "count")
	if b, err := os.ReadFile(saved); err == nil {
		if _, err := fmt.Sscan(string(b), &o.Counted, &o.State); err != nil {
			o = slowOutput{} // damaged: from the beginning
		}
		task.Log().Info().Msgf("resuming at step %d of %d", o.Counted, c.Steps)
		trace("slow resumes at %d", o.Counted)
	}
	for o.Counted < c.Steps {
		select {
		case <-ctx.Done():
			trace("slow stopped at %d", o.Counted)
			return o, context.Cause(ctx)
		case <-time.After(time.Duration(c.Tick * float64(time.Second))):
		}
		o.Counted++
		o.State = uint32(rand.NewPCG(uint64(o.State), uint64(o.Counted)).Uint64())
		trace("slow %d", o.Counted)
		tmp := saved + ".tmp"
		if err := errors.Join(os.WriteFile(tmp, fmt.Append(nil, o.Counted, o.State), 0o666), os.Rename(tmp, saved)); err != nil {
			return o, err
		}
		task.Report(pipeline.Progress{Done: float64(o.Counted), Total: float64(c.Steps), Unit: "steps", Note: "state " + strconv.Itoa(int(o.State%100))})
	}
	return o, nil
}

type stubbornConfig struct {
	Seconds float64 `json:"seconds" doc:"How long it sleeps."`
}

func runStubborn(_ context.Context, _ *pipeline.Task, c stubbornConfig) (struct{}, error) {
	trace("stubborn")
	time.Sleep(time.Duration(c.Seconds * float64(time.Second)))
	return struct{}{}, nil
}

type failConfig struct {
	Message string `json:"message" doc:"Its error."`
	Until   string `json:"until,omitempty" doc:"A file: it fails until there are three lines in it, and adds one each time." key:"-"`
	Input   any    `json:"input,omitempty" doc:"Anything."`
}

func runFail(_ context.Context, _ *pipeline.Task, c failConfig) (struct{}, error) {
	trace("fail")
	if c.Until != "" {
		b, _ := os.ReadFile(c.Until)
		if strings.Count(string(b), "\n") >= 3 {
			return struct{}{}, nil
		}
		if err := os.WriteFile(c.Until, append(b, '\n'), 0o666); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, errors.New(c.Message)
}

func runBolt(context.Context, *pipeline.Task, struct{}) (struct{}, error) {
	trace("bolt")
	go panic("out of reach")
	select {}
}

var hoarded [][]byte

func runHoard(context.Context, *pipeline.Task, struct{}) (struct{}, error) {
	trace("hoard")
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		hoarded = append(hoarded, b)
	}
}

func runParent(context.Context, *pipeline.Task, struct{}) (struct{}, error) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		return struct{}{}, err
	}
	trace("parent %d of %d", os.Getpid(), cmd.Process.Pid)
	return struct{}{}, cmd.Wait()
}

func runChatter(context.Context, *pipeline.Task, struct{}) (struct{}, error) {
	fmt.Println("to standard output")
	fmt.Fprintln(os.Stderr, "to standard error")
	return struct{}{}, nil
}

func runPanic(context.Context, *pipeline.Task, struct{}) (struct{}, error) {
	trace("panic")
	panic("out of luck")
}
