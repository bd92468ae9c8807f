package exec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
	"eyrie/pipeline/process"
)

// Tool is a command that prints a version, and what it has printed where the recipe was
// planned.
type Tool struct {
	Command string `json:"command"`
	Version string `json:"version,omitempty"`
}

// Written says what a recipe may write.
func (Tool) Written() string { return "string: a command that prints a version" }

// UnmarshalJSON decodes the command alone, as it is written, or all of it.
func (t *Tool) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &t.Command); err == nil {
		return nil
	}
	type whole Tool
	if err := json.Unmarshal(b, (*whole)(t)); err != nil {
		return errors.New("takes a command in quotes, such as \"python3 --version\"")
	}
	return nil
}

func (t Tool) check() error {
	words, err := t.words()
	switch {
	case err != nil:
		return err
	case len(words) == 0 || words[0] == "":
		return errors.New("is empty: write a command that prints a version, such as \"python3 --version\"")
	case strings.Contains(t.Command, "\x00"):
		return errors.New("cannot have a zero byte in it")
	case strings.Contains(words[0], "/") && !filepath.IsAbs(words[0]):
		return fmt.Errorf("%s is no program in PATH: write where it is, as \"${path.recipe}/%s\"", words[0], words[0])
	}
	return nil
}

// words takes the command apart: by spaces, except between quotes of a kind. No shell reads
// it, so what only a shell understands is a mistake outside of quotes.
func (t Tool) words() (words []string, err error) {
	var word []rune
	var quote rune
	begun := false
	for _, c := range t.Command {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word = append(word, c)
		case c == '\'' || c == '"':
			quote, begun = c, true
		case strings.ContainsRune("|&;<>$`", c):
			return nil, fmt.Errorf("has %q: no shell reads it. Write a program and its arguments by spaces, in quotes where they have any", c)
		case c == ' ' || c == '\t' || c == '\n':
			if begun {
				words = append(words, string(word))
			}
			word, begun = nil, false
		default:
			word, begun = append(word, c), true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("lacks a closing %c", quote)
	}
	if begun {
		words = append(words, string(word))
	}
	return words, nil
}

// lasting is an argument to which a program answers with its version, and reads nothing for
// that. With any other it may: python3 -m pip --version, and even python3 -cCODE.
var lasting = regexp.MustCompile(`^(-{0,2}version|-[vV]+)$`)

// alone reports whether what a command prints follows from its program alone.
func alone(words []string) bool { return len(words) == 2 && lasting.MatchString(words[1]) }

// Observe implements [pipeline.Observer]: it asks the tools for their versions.
func (c Config) Observe(ctx context.Context, o *pipeline.Observations) (any, error) {
	tools := make(map[string]Tool, len(c.Tools))
	r := mistake.New()
	for _, name := range slices.Sorted(maps.Keys(c.Tools)) {
		t := c.Tools[name]
		var err error
		if t.Version, err = t.version(ctx, o); err != nil {
			r.At("tools", name).Add(err)
		}
		tools[name] = t
	}
	if c.Tools != nil {
		c.Tools = tools
	}
	return c, r.Err()
}

// patience is how long a tool may take to say its version.
const patience = 10 * time.Second

// version asks for the tool's version.
func (t Tool) version(ctx context.Context, o *pipeline.Observations) (string, error) {
	words, err := t.words()
	if err != nil {
		return "", err
	}
	program, err := osexec.LookPath(words[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return "", fmt.Errorf("there is no program %s in PATH: install it, or remove the tool if the step does not use it", words[0])
	}
	return o.Of(ctx, program, t.Command, alone(words), func() (string, error) { return t.ask(ctx, program, words) })
}

// longestVersion bounds what a tool prints, in bytes: it is part of the keys and records of
// all steps that use it.
const longestVersion = 16 << 10

// ask runs the tool's command in an empty environment, so that no variable that the step
// does not have decides what it says.
func (t Tool) ask(ctx context.Context, program string, words []string) (string, error) {
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var said strings.Builder
	p := &process.Program{Path: program, Args: words, Dir: string(filepath.Separator), Grace: time.Second,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8"},
		Line: func(line string) { // some write it to standard error
			if said.WriteString(line + "\n"); said.Len() > longestVersion {
				cancel()
			}
		}}
	ended, err := p.Run(asked)
	text := strings.TrimSpace(said.String())
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return "", fmt.Errorf("%s cannot be started: %w", t.Command, err)
	case len(text) > longestVersion:
		return "", fmt.Errorf("%s prints more than %d KiB: write a command that prints a version", t.Command, longestVersion>>10)
	case asked.Err() != nil:
		return "", fmt.Errorf("%s did not end within %v", t.Command, patience)
	case !ended.State.Success():
		return "", fmt.Errorf("%s fails: %s: %.200s", t.Command, ended.State, text)
	case text == "":
		return "", fmt.Errorf("%s prints nothing: write a command that prints a version", t.Command)
	}
	return text, nil
}

// Ready implements [pipeline.Readier]: the program must be there.
func (c Config) Ready(r *mistake.Report) {
	switch {
	case !r.Knows("container"):
	case c.Container != "":
		if _, err := findEngine(); err != nil {
			r.At("container").Add(err)
		}
	case c.Shell != "":
		if _, err := osexec.LookPath("sh"); err != nil {
			r.At("shell").Add(errShell)
		}
	case len(c.Command) > 0 && r.At("command", 0).Knows() && r.Knows("inputs"):
		if _, err := c.find(""); err != nil {
			r.At("command", 0).Add(err)
		}
	}
}

// find returns the path of the command's program: one of the inputs, or in one, in the
// directory given, or one of the system's.
func (c Config) find(dir string) (path string, err error) {
	name := string(c.Command[0])
	if input, _, ok := c.inputOf(name); ok {
		return filepath.Join(dir, filepath.FromSlash(input)), nil
	}
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		return "", fmt.Errorf("there is no input %s: write inputs = { %q = \"${path.recipe}/…\" }", name, filepath.Base(name))
	}
	path, err = osexec.LookPath(name)
	if err != nil && filepath.IsAbs(name) {
		return "", fmt.Errorf("%s is no program", name)
	} else if err != nil {
		return "", fmt.Errorf("there is no program %s in PATH, and no input of that name: install it, or write it as an input", name)
	}
	return filepath.Abs(path)
}

// inputOf returns the path, in the program's directory, of a name that is an input or leads
// into one, and that input.
func (c Config) inputOf(name string) (path, input string, ok bool) {
	path = filepath.ToSlash(filepath.Clean(name))
	for _, input := range slices.Sorted(maps.Keys(c.Inputs)) {
		if path == input || strings.HasPrefix(path, input+"/") {
			return path, input, true
		}
	}
	return path, "", false
}
