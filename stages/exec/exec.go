// Package exec is the stage that runs a program of the user's own: a command in a
// directory of its own, with inputs that it reads and outputs that its step declares.
package exec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
	"eyrie/pipeline/process"
)

// Stage is the exec stage.
var Stage = pipeline.Define("exec", 1,
	`Runs a program of your own, and takes what it makes as outputs of the types declared.

    stage "exec" "measure" {
      command = ["python3", "measure.py", "--runs", 10]
      inputs = {
        "measure.py" = "${path.recipe}/measure.py"
        "net.onnx"   = stage.deployed.onnx
      }
      tools = { python = "python3 --version" }

      declare {
        output "latency" {
          type = number
          json = "result.json" # that the program writes: {"latency": 12.5}
          unit = "ms"
        }
        output "log" {
          type = file
          path = "measure.log"
        }
      }
    }

Others refer to stage.measure.latency, which is in seconds as all times are, and counts as
measured unless provenance says otherwise.

The program starts in an empty directory, in which its inputs lie by their names; relative
paths are relative to it. It must not change them. Files of more than 64 MiB are links to
where they are kept. Whatever else it reads is not known to the runner: if that changes,
the step does not run again. Name all that matters as inputs, and let tools say the
versions of programs, because what these commands print is part of the key: no shell reads
them, and arguments may be in quotes.

Its environment is PATH, HOME and TMPDIR (empty directories of its own), LANG=C.UTF-8,
OMP_NUM_THREADS and its like (what resources grants), CUDA_VISIBLE_DEVICES (likewise),
and what env and secrets say. With checkpoint, EYRIE_CHECKPOINT names a directory that is
there again, as it was left, when the same step is tried again after a failure, Ctrl-C or a
kill.

What it writes to standard output and standard error is the step's log. Lines of JSON on the
descriptor in EYRIE_PROGRESS_FD show how far it is: {"done": 3, "total": 10, "unit": "runs",
"note": "warm"}, or {"log": "too hot", "level": "warn"}.

container runs it in an image that is named with its digest, by docker, podman or apptainer,
whichever is there first. There it has no network and nothing of this machine but its
directory; PATH is the image's, and docker and podman hand on no descriptor for progress.

secrets are variables of the environment whose values are in no key, log or store: a token
with which data are fetched. They come from variables of the recipe with sensitive = true. A new value does not run the step again, and its outputs are not
sensitive. An output with a secret in it is an error. What belongs to the result is no secret:
put it in env.

A step that is told to stop (timeout, Ctrl-C) gets SIGTERM, and SIGKILL after --grace. All
processes that it has started end with it, also when the runner itself is killed.`,
	Config{}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Command    []Argument                `json:"command,omitempty" doc:"the program and its arguments; in place of shell"`
	Shell      string                    `json:"shell,omitempty" doc:"a script for sh -eu, in which a pipeline fails if any of its commands does, where sh knows that; in place of command"`
	Inputs     map[string]artifacts.File `json:"inputs,omitempty" doc:"files and directories that the program reads, by their names in its directory"`
	Env        map[string]string         `json:"env,omitempty" doc:"variables of its environment"`
	Secrets    map[string]string         `json:"secrets,omitempty" key:"-" sensitive:"guarded" doc:"likewise, whose values are written down nowhere"`
	Tools      map[string]Tool           `json:"tools,omitempty" doc:"commands that print the version of what is used, such as \"python3 --version\": what they print is part of the key"`
	Checkpoint bool                      `json:"checkpoint,omitempty" key:"-" doc:"hand it a directory, EYRIE_CHECKPOINT, in which it may keep what it needs to go on after an interruption"`
	Container  string                    `json:"container,omitempty" doc:"an image with its digest, image@sha256:…, in which the program runs, without network"`
	Declare    map[string]Output         `json:"declare" doc:"the outputs: a block with one output \"NAME\" { … } for each"`
}

// Argument is an argument of a command, which may be written as a number.
type Argument string

// mostArgument bounds an argument, in bytes: systems have a limit of 128 KiB.
const mostArgument = 100 << 10

// Check reports mistakes in the command, the names and the declared outputs.
func (c Config) Check(r *mistake.Report) {
	c.checkCommand(r)
	checkNames(r.At("inputs"), slices.Sorted(maps.Keys(c.Inputs)))
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		checkVariable(r.At("env", name), name, c.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		checkVariable(r.At("secrets", name), name, c.Secrets[name])
		if _, both := c.Env[name]; both {
			r.At("secrets", name).Badf("is in env, too: write it in one of them")
		}
		if r.Knows("container") && c.Container != "" && engineReads(name) {
			r.At("secrets", name).Badf("is a variable that container engines read themselves: give it another name")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Tools)) {
		if t := r.At("tools", name); t.Knows() {
			t.Add(c.Tools[name].check())
		}
	}
	if r.Knows("container") && c.Container != "" && len(c.Tools) > 0 {
		r.At("tools").Badf("are this machine's, and the program runs in a container, whose digest says which it has: remove them")
	}
	if r.Knows("container") && c.Container != "" {
		r.At("container").Add(checkImage(c.Container))
	}
	c.checkDeclare(r.At(pipeline.Declaration))
}

func (c Config) checkCommand(r *mistake.Report) {
	switch {
	case r.Absent("command") && r.Absent("shell"):
		r.Badf("says not what to run: write command = [\"program\", \"argument\"], or shell = \"…\"")
	case r.Written("command") && r.Written("shell"):
		r.At("shell").Badf("is a second thing to run beside command: write one of them")
	case r.Written("command") && r.Knows("command") && (len(c.Command) == 0 || c.Command[0] == ""):
		r.At("command").Badf("needs the program as its first element")
	case r.Written("shell") && r.Knows("shell") && strings.TrimSpace(c.Shell) == "":
		r.At("shell").Badf("is empty: there is nothing to run")
	}
	for i, a := range c.Command {
		if at := r.At("command", i); at.Knows() && (strings.Contains(string(a), "\x00") || len(a) > mostArgument) {
			at.Badf("cannot be an argument: it must have no zero byte and at most %d bytes; hand it over as an input", mostArgument)
		}
	}
}

// checkNames reports names that would not be within the directory, and those of which one
// is within another.
func checkNames(r *mistake.Report, names []string) {
	for _, name := range names {
		switch at := r.At(name); {
		case !isName(name):
			at.Badf("is no name within the program's directory: write a relative path such as \"data/train.csv\"")
		case slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return len(part) > longestName }):
			at.Badf("has a name of more than %d bytes in it, which systems do not take", longestName)
		default:
			for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
				if slices.Contains(names, dir) {
					at.Badf("is within %q, which is an input itself: give one of them another name", dir)
				}
			}
		}
	}
}

// longestName is how long the name of a file may be, in bytes.
const longestName = 255

// isName reports whether a path leads to a place within a directory, and is written in the
// one way there is.
func isName(name string) bool {
	return name != "." && path.Clean(name) == name && !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../") &&
		!strings.ContainsAny(name, "\x00\\")
}

// checkVariable reports what cannot be a variable's name or value, or is one that the runner
// sets.
func checkVariable(r *mistake.Report, name, value string) {
	switch {
	case strings.Contains(value, "\x00") || len(value) > mostArgument:
		r.Badf("cannot be the value of a variable: it must have no zero byte and at most %d bytes; hand it over as an input", mostArgument)
	case name == "" || strings.ContainsAny(name, "=\x00"):
		r.Badf("cannot be the name of a variable")
	case strings.HasPrefix(name, "EYRIE_"):
		r.Badf("is the runner's: variables that begin with EYRIE_ are set by it")
	}
}

func run(ctx context.Context, task *pipeline.Task, c Config) (pipeline.Declared, error) {
	w, err := newWorkspace(task, c)
	if err != nil {
		return nil, err
	}
	program, err := c.program(task, w)
	if err != nil {
		return nil, err
	}
	l := &listener{task: task, hide: c.hide()}
	program.Line, program.Extra = l.line, l.progress
	program.CPUs, program.Grace = task.CPUSet(), task.Grace()
	program.Hide = c.hide()
	c.warnOfPaths(task)
	ended, err := program.Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", c.name(), err)
	}
	task.Used(ended.Usage)
	if ended.Left > 0 && ctx.Err() == nil { // one that was stopped had no time to end them
		task.Log().Warn().Int("processes", ended.Left).Msg("the program ended and left processes behind: they were killed")
	}
	made, err := c.result(ctx, ended, w)
	return made, c.discreet(err)
}

// result returns what a program that has ended has made, or why that is nothing.
func (c Config) result(ctx context.Context, ended *process.Ended, w *workspace) (pipeline.Declared, error) {
	if err := c.verdict(ctx, ended); err != nil {
		return nil, err
	}
	if err := w.unchanged(); err != nil {
		return nil, err
	}
	return c.collect(ctx, w)
}

// hide returns what the program's output must not show: the secrets, as programs may write
// them.
func (c Config) hide() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		all = append(all, spellings(c.Secrets[name])...)
	}
	return all
}

// spellings returns a text as it is, as Python shows it, and as it is within JSON, also in
// ASCII alone, which is how Python writes that.
func spellings(text string) (all []string) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // no string fails
	quoted := b.String()
	quoted = quoted[1 : len(quoted)-2]
	var ascii strings.Builder
	for _, r := range quoted {
		switch high, low := utf16.EncodeRune(r); {
		case r < utf8.RuneSelf:
			ascii.WriteRune(r)
		case high != utf8.RuneError:
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	return slices.Compact([]string{text, strings.ReplaceAll(text, `\`, `\\`), quoted, ascii.String()})
}

// discreet returns an error without the secrets: it may quote what the program has written.
func (c Config) discreet(err error) error {
	if err == nil {
		return nil
	}
	if text := process.Hidden(err.Error(), c.hide()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// verdict returns why a program that has ended has not succeeded.
func (c Config) verdict(ctx context.Context, ended *process.Ended) error {
	how := ended.State.String()
	switch {
	case ctx.Err() != nil && ended.Killed:
		return fmt.Errorf("%s did not stop when it was told to, and was killed: %w", c.name(), context.Cause(ctx))
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case ended.State.Success():
		return nil
	case ended.State.Exited():
		how = fmt.Sprintf("exit code %d", ended.State.ExitCode())
	}
	if len(ended.Tail) == 0 {
		return fmt.Errorf("%s failed: %s; it wrote nothing", c.name(), how)
	}
	return fmt.Errorf("%s failed: %s; the end of its log:\n  %s", c.name(), how, strings.Join(ended.Tail, "\n  "))
}

// name is what the program is called in messages.
func (c Config) name() string {
	if c.Shell != "" {
		return "the script"
	}
	return string(c.Command[0])
}

// warnOfPaths tells of arguments that are files somewhere else: what is in them is not
// known to the runner.
func (c Config) warnOfPaths(task *pipeline.Task) {
	for _, a := range c.Command[min(1, len(c.Command)):] {
		if info, err := os.Stat(string(a)); err == nil && path.IsAbs(string(a)) && info.Mode().IsRegular() {
			task.Log().Warn().Str("file", string(a)).Msg("an argument is a file that is no input: if it changes, the step does not run again")
		}
	}
}

var errShell = errors.New("there is no sh in PATH, which runs scripts: write command")
