package executortest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/process"
)

// Stages are what the suite has executors perform.
var Stages = []*pipeline.Stage{
	pipeline.Define("copy", 1, "Copies a file, or makes a tree of it.", copyConfig{}, runCopy),
	pipeline.Define("chatty", 1, "Reports and logs.", none{}, runChatty),
	pipeline.Define("picky", 1, "Takes none of its attributes.", pickyConfig{}, runPicky),
	pipeline.Define("panic", 1, "Panics.", none{}, func(context.Context, *pipeline.Task, none) (none, error) { panic("out of luck") }),
	pipeline.Define("wait", 1, "Waits until it is told to stop.", none{}, func(ctx context.Context, _ *pipeline.Task, _ none) (none, error) {
		<-ctx.Done()
		return none{}, ctx.Err()
	}),
	pipeline.Define("resume", 1, "Needs two goes.", none{}, runResume),
	pipeline.Define("flaky", 1, "Succeeds the third time.", triesConfig{}, runFlaky),
	pipeline.Define("once", 1, "Takes a while.", triesConfig{}, runOnce),
	pipeline.Define("secret", 1, "Counts the letters of a secret.", secretConfig{}, runSecret),
	pipeline.Define("ask", 1, "Gives what it was granted.", none{}, runAsk).WithLineage(),
	pipeline.Define("babbling", 1, "Goes on reporting when it has returned.", none{}, runBabbling),
	pipeline.Define("bolt", 1, "Panics in a goroutine.", none{}, func(context.Context, *pipeline.Task, none) (none, error) { go panic("out of reach"); select {} }),
	pipeline.Define("leave", 1, "Leaves the process.", none{}, func(context.Context, *pipeline.Task, none) (none, error) { os.Exit(7); return none{}, nil }),
	pipeline.Define("stubborn", 1, "Does not stop.", none{}, runStubborn),
	pipeline.Define("burn", 1, "Takes the processor's time, and memory.", burnConfig{}, runBurn),
	pipeline.Define("print", 1, "Prints.", none{}, runPrint),
}

type none struct{}

type copyConfig struct {
	In   artifacts.File `json:"in"`
	Note string         `json:"note,omitempty" key:"-"`
	Tree bool           `json:"tree,omitempty"`
}

type copyOutput struct {
	Text string         `json:"text"`
	File artifacts.File `json:"file"`
	Same artifacts.File `json:"same"` // what it was given
}

func runCopy(_ context.Context, task *pipeline.Task, c copyConfig) (copyOutput, error) {
	b, err := c.In.ReadFile()
	if err != nil {
		return copyOutput{}, err
	}
	path := task.Path("copy")
	o := copyOutput{string(b), artifacts.Local(path), c.In}
	if c.Tree {
		if err := os.Mkdir(path, 0o777); err != nil {
			return o, err
		}
		path = filepath.Join(path, "leaf")
	}
	return o, os.WriteFile(path, []byte(strings.ToUpper(string(b))), 0o666)
}

func runChatty(_ context.Context, task *pipeline.Task, _ none) (none, error) {
	task.Log().Info().Msg("begins")
	task.Report(pipeline.Progress{Done: 1, Total: 2, Unit: "steps", Note: "half"})
	task.Log().Info().Msg("ends")
	return none{}, nil
}

type pickyConfig struct {
	X     float64 `json:"x,omitempty"`
	Token string  `json:"token,omitempty"`
}

func runPicky(_ context.Context, _ *pipeline.Task, c pickyConfig) (none, error) {
	if c.Token != "" {
		return none{}, pipeline.Badf("token", "%s is not to my taste", c.Token)
	}
	return none{}, pipeline.Badf("x", "%v is not to my taste", c.X)
}

func runResume(ctx context.Context, task *pipeline.Task, _ none) (none, error) {
	saved := filepath.Join(task.Checkpoint(), "saved")
	if _, err := os.Stat(saved); err == nil {
		return none{}, nil
	}
	task.Report(pipeline.Progress{Done: 1})
	<-ctx.Done()
	return none{}, errors.Join(ctx.Err(), os.WriteFile(saved, nil, 0o666))
}

type triesConfig struct {
	Tries   string  `json:"tries" key:"-"`
	Seconds float64 `json:"seconds,omitempty"`
}

// mark adds a letter to the file and returns how many there are.
func (c triesConfig) mark() (int, error) {
	b, _ := os.ReadFile(c.Tries)
	b = append(b, 'x')
	return len(b), os.WriteFile(c.Tries, b, 0o666)
}

func runFlaky(_ context.Context, _ *pipeline.Task, c triesConfig) (none, error) {
	n, err := c.mark()
	if err == nil && n < 3 {
		err = fmt.Errorf("attempt %d", n)
	}
	return none{}, err
}

func runOnce(_ context.Context, _ *pipeline.Task, c triesConfig) (none, error) {
	_, err := c.mark()
	time.Sleep(time.Duration(c.Seconds * float64(time.Second)))
	return none{}, err
}

type secretConfig struct {
	Token string `json:"token"`
}

type secretOutput struct {
	Length int `json:"length"`
}

func runSecret(_ context.Context, _ *pipeline.Task, c secretConfig) (secretOutput, error) {
	return secretOutput{len(c.Token)}, nil
}

type askOutput struct {
	Lineage []string `json:"lineage"`
	GPUs    []int    `json:"gpus"`
	CPUs    int      `json:"cpus"`
}

func runAsk(_ context.Context, task *pipeline.Task, _ none) (askOutput, error) {
	o := askOutput{GPUs: task.GPUs(), CPUs: task.CPUs()}
	for _, a := range task.Lineage() {
		if !a.Finished || a.Output == nil {
			return o, fmt.Errorf("%+v", a)
		}
		o.Lineage = append(o.Lineage, a.ID)
	}
	return o, nil
}

func runBabbling(_ context.Context, task *pipeline.Task, _ none) (none, error) {
	go func() {
		for range 100 {
			task.Log().Info().Msg("still here")
			task.Report(pipeline.Progress{Done: 1})
			time.Sleep(time.Millisecond)
		}
	}()
	return none{}, nil
}

func runStubborn(_ context.Context, task *pipeline.Task, _ none) (none, error) {
	task.Report(pipeline.Progress{Done: 1})
	select {}
}

func runPrint(context.Context, *pipeline.Task, none) (none, error) {
	fmt.Println("to standard output")
	fmt.Fprint(os.Stderr, "to standard error")
	return none{}, nil
}

type burnConfig struct {
	Seconds float64        `json:"seconds"` // of the processor, with what starting the process took
	Memory  int            `json:"memory"`  // bytes
	In      artifacts.File `json:"in"`
	Fail    bool           `json:"fail,omitempty"`
}

func runBurn(_ context.Context, task *pipeline.Task, c burnConfig) (copyOutput, error) {
	b := make([]byte, c.Memory)
	for process.Own().CPU.Seconds() < c.Seconds {
		for i := range b {
			b[i]++
		}
	}
	if c.Fail {
		return copyOutput{}, errNo
	}
	path := task.Path("ash")
	return copyOutput{File: artifacts.Local(path), Same: c.In}, os.WriteFile(path, b[:1000], 0o666)
}
