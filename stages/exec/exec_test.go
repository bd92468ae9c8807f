package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
	"eyrie/artifacts/store/storetest"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
	"eyrie/pipeline/process"
)

// What cannot be run, laid out or declared is a mistake at its attribute.
func TestCheck(t *testing.T) {
	good := func() Config {
		return Config{Command: []Argument{"true"}, Declare: map[string]Output{"x": {Type: "number", JSON: "r.json"}}}
	}
	tests := []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, "<nil>"},
		{func(c *Config) { c.Command = nil }, "says not what to run: write command"},
		{func(c *Config) { c.Shell = "true" }, "shell: is a second thing to run beside command"},
		{func(c *Config) { c.Command = []Argument{""} }, "command: needs the program as its first element"},
		{func(c *Config) { c.Command, c.Shell = nil, " " }, "shell: is empty"},
		{func(c *Config) { c.Command = append(c.Command, "a\x00") }, "command[1]: cannot be an argument"},
		{func(c *Config) { c.Inputs = map[string]artifacts.File{"../a": {}} }, `inputs["../a"]: is no name within`},
		{func(c *Config) { c.Inputs = map[string]artifacts.File{"/a": {}} }, `inputs["/a"]: is no name within`},
		{func(c *Config) { c.Inputs = map[string]artifacts.File{"a//b": {}} }, `inputs["a//b"]: is no name within`},
		{func(c *Config) { c.Inputs = map[string]artifacts.File{".": {}} }, `inputs["."]: is no name within`},
		{func(c *Config) { c.Inputs = map[string]artifacts.File{"a/" + strings.Repeat("b", 256): {}} }, "has a name of more than 255 bytes"},
		{func(c *Config) { c.Inputs = map[string]artifacts.File{"a/b/c": {}, "a": {}} }, `inputs["a/b/c"]: is within "a"`},
		{func(c *Config) { c.Env = map[string]string{"A=B": ""} }, `env["A=B"]: cannot be the name`},
		{func(c *Config) { c.Env = map[string]string{"EYRIE_JOB": ""} }, "env.EYRIE_JOB: is the runner's"},
		{func(c *Config) {
			c.Env, c.Secrets = map[string]string{"A": ""}, map[string]string{"A": ""}
		}, "secrets.A: is in env, too"},
		{func(c *Config) { c.Tools = map[string]Tool{"t": {}} }, "tools.t: is empty"},
		{func(c *Config) { c.Tools = map[string]Tool{"t": {Command: "a | b"}} }, "tools.t: has '|': no shell reads it"},
		{func(c *Config) { c.Tools = map[string]Tool{"t": {Command: "bin/a -v"}} }, "tools.t: bin/a is no program in PATH: write where it is"},
		{func(c *Config) {
			c.Container, c.Tools = "a@sha256:"+strings.Repeat("0", 64), map[string]Tool{"t": {Command: "a -v"}}
		}, "tools: are this machine's, and the program runs in a container"},
		{func(c *Config) { c.Env = map[string]string{"A": "a\x00"} }, "env.A: cannot be the value of a variable"},
		{func(c *Config) { c.Secrets = map[string]string{"A": strings.Repeat("a", mostArgument+1)} }, "secrets.A: cannot be the value"},
		{func(c *Config) { c.Container = "python:3" }, `container: "python:3" is no image with its digest`},
		{func(c *Config) {
			c.Container, c.Secrets = "a@sha256:"+strings.Repeat("0", 64), map[string]string{"DOCKER_HOST": ""}
		}, "secrets.DOCKER_HOST: is a variable that container engines read"},
		{func(c *Config) { c.Declare = nil }, "declare: declares no outputs"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "list(number", JSON: "r"} }, `declare.x.type: "list(number" is not a type: ")" is expected`},
		{func(c *Config) { c.Declare["x"] = Output{Type: "set(string)", JSON: "r"} }, "JSON has no sets: write list(T)"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "number"} }, "declare.x.json: is missing"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "number", Path: "r.json"} }, "declare.x.path: is for files"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "number", JSON: "../r"} }, "declare.x.json: must be a relative path"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "number", JSON: "r", At: "a..b"} }, "declare.x.at: \"a..b\" is no path"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "string", JSON: "r", Unit: "s"} }, "declare.x.unit: is for a number"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "file"} }, "declare.x.path: is missing"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "dir", Path: "a", Unit: "s"} }, "declare.x.unit: is for values"},
		{func(c *Config) { c.Declare["x"] = Output{Type: "file", JSON: "a"} }, "declare.x.json: is for values"},
	}
	for _, test := range tests {
		c := good()
		test.change(&c)
		if got := fmt.Sprint(Stage.CheckConfig(c)); !strings.Contains(got, test.want) {
			t.Errorf("%+v: %s, want %s", c, got, test.want)
		}
	}
}

// A value has the type that was declared, in the unit that recipes use, or the error says
// where it has another.
func TestRead(t *testing.T) {
	text := `{"digits": ` + strings.Repeat("1", 5000) + `, "huge": {"a": [1e999]}, "n": 12.5, "big": 9007199254740993, "list": [1, 2e3, -0], "text": "a", "yes": true, "null": null,
		"deep": {"a b": [{"x": 1}]}, "map": {"a": 1024, "b": 0.1}, "object": {"a": 1, "b": ["q"], "more": 2}}`
	document, err := parseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, typ, at, unit, want string
	}{
		{"n", "number", "", "", "12.5"},
		{"n", "number", "", "ms", "0.0125"},
		{"n", "number", "", "min", "750"},
		{"n", "number", "", "MHz", "12500000"},
		{"n", "number", "", "images/s", "12.5"},
		{"map", "map(number)", "", "KiB", `{"a":1048576,"b":102.4}`},
		{"list", "list(number)", "", "us", "[0.000001,0.002,0]"},
		{"x", "number", `deep["a b"][0].x`, "", "1"},
		{"object", "object({ a = number, b = list(string) })", "", "", `{"a":1,"b":["q"]}`},
		{"deep", "any", "", "", `{"a b":[{"x":1}]}`},
		{"yes", "bool", "", "", "true"},
		{"list", "any", "", "", "[1,2000,0]"},
		{"big", "any", "", "", "r.json: big is 9007199254740993, which is too large to be held exactly"},
		{"huge", "any", "", "", "r.json: huge.a[0] is 1e999, which is beyond what can be held"},
		{"digits", "number", "", "", "r.json: digits is 11111111111111111111…, a number of more than 1100 digits"},
		{"big", "number", "", "", "r.json: big is 9007199254740993, which is too large to be held exactly"},
		{"big", "string", "", "", "r.json: big is the number 9007199254740993, and a string was declared"},
		{"null", "number", "", "", "r.json: null is null, and a number was declared"},
		{"list", "list(string)", "", "", "r.json: list[0] is the number 1, and a string was declared"},
		{"object", "object({ c = number })", "", "", `r.json: object lacks "c"; there is a, b, more`},
		{"object", "object({ b = list(number) })", "", "", `r.json: object.b[0] is the string "q", and a number was declared`},
		{"none", "number", "", "", `r.json has no none: there is no "none"; there is big, deep`},
		{"x", "number", "list[7]", "", "r.json has no list[7]: there is no element 7 in a list of 3"},
		{"x", "number", "n.a", "", `r.json has no n.a: "a" would be in an object, and there is the number 12.5`},
	}
	for _, test := range tests {
		o := Output{Type: test.typ, JSON: "r.json", At: test.at, Unit: test.unit}
		v, err := o.read(test.name, document)
		got := fmt.Sprint(err)
		if err == nil {
			b, _ := json.Marshal(v)
			got = string(b)
		}
		if got != test.want && (err == nil || !strings.HasPrefix(got, test.want)) {
			t.Errorf("%+v: %s, want %s", test, got, test.want)
		}
	}
}

// The declared outputs are a type as any stage has, with unit and provenance.
func TestDeclare(t *testing.T) {
	s, err := Stage.Declare(map[string]any{
		"latency": map[string]any{"type": "number", "json": "r.json", "unit": "ms", "doc": "how long"},
		"rows":    map[string]any{"type": "list(object({ a = number }))", "json": "r.json", "provenance": "predicted"},
		"tree":    map[string]any{"type": "dir", "path": "out"},
	})
	if err != nil {
		t.Fatal(err)
	}
	latency, rows, tree := s.Output.Field("latency"), s.Output.Field("rows"), s.Output.Field("tree")
	if latency.Unit != "s" || latency.Kind != pipeline.Measured || latency.Doc != "how long" || !latency.Required {
		t.Errorf("%+v", latency)
	}
	if a := rows.Type.Elem.Field("a"); a == nil || a.Kind != pipeline.Predicted {
		t.Errorf("%+v", rows.Type.Elem)
	}
	if tree.Type.Kind != pipeline.File || tree.Is != "dir" {
		t.Errorf("%+v", tree)
	}
	if len(Stage.Output.Fields) != 0 {
		t.Error("the stage itself has outputs now")
	}
	_, err = Stage.Declare(map[string]any{"x": map[string]any{"type": "numbr", "json": "r"}, "y": map[string]any{"type": "file", "path": 7.0}})
	if all := mistake.Of(err); len(all) != 2 {
		t.Errorf("mistakes: %v", all)
	}
}

// A document is read as it is meant, or the line says what cannot be meant.
func TestParseJSON(t *testing.T) {
	for text, want := range map[string]string{
		"\ufeff{\"a\": 1}": "map[a:1]",
		`{"a": [{"x": 1, "y": "x"}, {"x": "y"}], "x": 2}`: "map[a:[map[x:1 y:x] map[x:y]] x:2]",
		"{\"a\": 1,\n\"a\": 2}":                           `line 2: an object has "a" twice`,
		`{"b": [[{"a": {}, "c": [], "a": 2}]]}`:           `line 1: an object has "a" twice`,
		"{\n\"a\": NaN}":                                  "line 2: NaN is no number that JSON has",
		`{"a": 1} {}`:                                     "line 1: it is no JSON: something follows",
		`{"a": `:                                          "it ends in the midst of its value",
	} {
		v, err := parseJSON([]byte(text))
		got := fmt.Sprint(v)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// A tool is asked once, and by another run only if its program has changed. One that is
// missing, fails or says nothing is a mistake.
func TestTools(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\necho asked >>"+dir+"/log\n"+text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	plan := func() (string, error) {
		attrs := func() map[string]any { // a step's own
			return map[string]any{"command": []any{"true"}, "tools": map[string]any{"t": "tool --version"},
				"declare": map[string]any{"x": map[string]any{"type": "file", "path": "x"}}}
		}
		s := func(id string) *pipeline.Step {
			return &pipeline.Step{ID: id, Stage: Stage, Pos: "r.hcl:1", Attrs: func(*pipeline.Outputs) (pipeline.Attrs, error) {
				all := pipeline.Attrs{}
				for name, v := range attrs() {
					all[name] = &pipeline.Attr{Value: v}
				}
				return all, nil
			}}
		}
		p, err := pipeline.NewPlan(t.Context(), &pipeline.Recipe{Name: "r", Steps: []*pipeline.Step{s("a"), s("b")}}, storetest.New(t), pipeline.PlanOptions{})
		if err != nil {
			return "", err
		}
		return p.Steps[0].Action.String(), nil
	}
	write("echo 1.0")
	first, err := plan()
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "log")); string(b) != "asked\n" {
		t.Errorf("two steps asked %q", b)
	}
	write("echo 1.1")
	if second, err := plan(); err != nil || second == first {
		t.Errorf("another version gives the same key; %v", err)
	}
	for text, want := range map[string]string{"exit 3": "fails: exit status 3", "true": "prints nothing"} {
		write(text)
		if _, err := plan(); err == nil || !strings.Contains(err.Error(), "tools.t: tool --version "+want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A command's arguments may be in quotes, and what only a shell would understand is a mistake.
func TestToolWords(t *testing.T) {
	for command, want := range map[string]string{
		"python3 --version":                     `["python3" "--version"] true`,
		"tool version":                          `["tool" "version"] true`,
		" tool\t-V ":                            `["tool" "-V"] true`,
		"tool":                                  `["tool"] false`,
		"tool -cprint":                          `["tool" "-cprint"] false`,
		"tool show version":                     `["tool" "show" "version"] false`,
		`p -c 'import x; print(x.__version__)'`: `["p" "-c" "import x; print(x.__version__)"] false`,
		`"a b"c '' "it's"`:                      `["a bc" "" "it's"] false`,
		"a | b":                                 "has '|': no shell reads it",
		"a $HOME":                               "has '$': no shell reads it",
		"a 'b":                                  "lacks a closing '",
		"":                                      `[] false`,
	} {
		words, err := Tool{Command: command}.words()
		got := fmt.Sprintf("%q %v", words, alone(words))
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", command, got, want)
		}
	}
}

// What a program prints is taken from the last run only where that follows from its
// content: other commands read more than that.
func TestToolsAskedEachTime(t *testing.T) {
	store := storetest.New(t)
	log := filepath.Join(t.TempDir(), "log")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", log) // a variable that a tool gets
	asked := func(command string) int {
		before, _ := os.ReadFile(log)
		attrs := pipeline.Attrs{"command": {Value: []any{"true"}}, "tools": {Value: map[string]any{"t": self + " " + command}},
			"declare": {Value: map[string]any{"x": map[string]any{"type": "file", "path": "x"}}}}
		for range 2 {
			s := &pipeline.Step{ID: "a", Stage: Stage, Pos: "r.hcl:1", Attrs: func(*pipeline.Outputs) (pipeline.Attrs, error) { return attrs, nil }}
			if _, err := pipeline.NewPlan(t.Context(), &pipeline.Recipe{Name: "r", Steps: []*pipeline.Step{s}}, store, pipeline.PlanOptions{}); err != nil {
				t.Fatal(command, err)
			}
		}
		after, _ := os.ReadFile(log)
		return len(after) - len(before)
	}
	for command, want := range map[string]int{"--version": 1, "version": 1, "-V": 1, "-version": 1,
		"-m pip": 2, "-cprint": 2, "-c 'import x; print(x.__version__)'": 2, "--version all": 2, "": 2} {
		if got := asked(command); got != want {
			t.Errorf("%s: asked %d times in two runs, want %d", command, got, want)
		}
	}
}

// TestMain makes the test's binary a tool, too, which counts how often it is asked.
func TestMain(m *testing.M) {
	if os.Getenv(process.Cookie) == "" || len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(m.Run())
	}
	f, err := os.OpenFile(os.Getenv("HOME"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err == nil {
		_, err = f.WriteString(".")
	}
	fmt.Println("1.0", err)
}

// A tool that prints without end is stopped, and what a tool leaves behind is, too.
func TestToolIsBounded(t *testing.T) {
	sh, err := osexec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Tool{Command: "sh"}.ask(t.Context(), sh, []string{"sh", "-c", "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done"})
	if err == nil || !strings.Contains(err.Error(), "prints more than 16 KiB") {
		t.Error(err)
	}
}

// A secret in an output is an error, however it is escaped there, and what says so does not
// show it.
func TestSecretInOutput(t *testing.T) {
	const secret = `pässwörd "<1>"`
	value := map[string]Output{"x": {Type: "any", JSON: "r.json"}}
	tree := map[string]Output{"x": {Type: "dir", Path: "d"}}
	tests := []struct {
		script  string
		declare map[string]Output
	}{
		{`import json; json.dump({"x": os.environ["S"]}, open("r.json", "w"))`, value},
		{`import json; json.dump({"x": [{os.environ["S"]: 1}]}, open("r.json", "w"))`, value},
		{`import json; json.dump({"x": os.environ["S"]}, open("r.json", "w"), ensure_ascii=False)`, value},
		{`open("r.json", "w").write('{"x": "%s"}' % "".join("\\u%04X" % ord(c) for c in os.environ["S"]))`, value},
		{`os.mkdir("d"); open("d/f", "w").write("x" * 2000000 + os.environ["S"])`, tree},
		{`os.mkdir("d"); os.mkdir("e"); open("e/f", "w").write(os.environ["S"]); os.symlink("../e", "d/e")`, tree},
		{`os.mkdir("d"); open("d/" + os.environ["S"], "w")`, tree},
	}
	for _, test := range tests {
		c := Config{Command: []Argument{"python3", "-c", Argument("import os; " + test.script)}, Secrets: map[string]string{"S": secret}, Declare: test.declare}
		_, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), c)
		if err == nil || !strings.Contains(err.Error(), "has the value of the secret S in it") || strings.Contains(err.Error(), "pässwörd") {
			t.Errorf("%s: %v", test.script, err)
		}
	}
}

// What a program says of its progress does not show a secret either, escaped or not.
func TestSecretInProgress(t *testing.T) {
	var log bytes.Buffer
	var said pipeline.Progress
	task := pipeline.NewTask(pipeline.Env{Log: zerolog.New(&log), Progress: func(p pipeline.Progress) { said = p }})
	l := &listener{task: task, hide: Config{Secrets: map[string]string{"S": "hunter2"}}.hide()}
	l.progress(`{"log": "it is h\u0075nter2"}`)
	l.progress(`{"done": 1, "note": "h\u0075nter2", "unit": "\u0068unter2"}`)
	if strings.Contains(log.String(), "hunter2") || said.Note != "(sensitive)" || said.Unit != "(sensitive)" {
		t.Errorf("%s, %+v", log.String(), said)
	}
}

// What is neither a file nor a directory cannot be an output, wherever it is, and nothing
// waits for it.
func TestKinds(t *testing.T) {
	for script, want := range map[string]string{
		"mkfifo o":                                     "o is a named pipe",
		"mkdir o; mkfifo o/f":                          "o/f is a named pipe",
		"mkdir o; ln -s .. o/up":                       "o/up/o links to a directory that it is in",
		"mkdir o; ln -s nowhere o/a":                   "o/a is a link that leads nowhere",
		"mkdir o; ln -s /etc/passwd o/a":               "o/a is a link that leads out of the program's directory",
		"ln -s o o":                                    "o is a link that leads nowhere",
		"ln -s /dev/null o":                            "o is a link that leads out",
		"mkdir o p; ln -s ../p o/a; echo a >p/b; true": "<nil>",
	} {
		for _, secrets := range []map[string]string{nil, {"S": "hunter2"}} {
			c := Config{Shell: script, Secrets: secrets, Declare: map[string]Output{"o": {Type: "dir", Path: "o"}}}
			if _, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), c); !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: %v, want %s", script, err, want)
			}
		}
	}
}

// Lines of progress are read, and those that are none are told and do no harm.
func TestParseReport(t *testing.T) {
	for line, want := range map[string]string{
		`{"done":3,"total":10,"unit":"runs","note":"warm"}`: "<nil>",
		`{"log":"hot","level":"warn"}`:                      "<nil>",
		`{"log":"hot"}`:                                     "<nil>",
		`{"done":0}`:                                        "<nil>",
		`{}`:                                                "it has neither done nor log, or both",
		`{"done":1,"log":"x"}`:                              "it has neither done nor log, or both",
		`{"done":-1}`:                                       "done and total cannot be negative",
		`{"log":"x","level":"loud"}`:                        `"loud" is no level`,
		`{"log":"x","level":"panic"}`:                       `"panic" is no level`,
		`{"done":1} {"done":2}`:                             "something follows the object",
		`{"dnoe":1}`:                                        `json: unknown field "dnoe"`,
		`3/10`:                                              "json: cannot unmarshal number",
	} {
		if _, err := parseReport(line); !strings.HasPrefix(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

// No line of progress, however bad, harms a step.
func FuzzProgress(f *testing.F) {
	f.Add(`{"done":3,"total":10,"unit":"runs","note":"warm"}`)
	f.Add(`{"log":"hot","level":"warn"}`)
	f.Fuzz(func(t *testing.T, line string) {
		reported := 0
		l := &listener{task: pipeline.NewTask(pipeline.Env{Progress: func(p pipeline.Progress) {
			if reported++; p.Done < 0 || p.Total < 0 {
				t.Errorf("%+v", p)
			}
		}})}
		l.progress(line)
		if l.bad+reported > 1 {
			t.Error("one line is two things")
		}
	})
}

// Whatever a program writes in place of JSON, and whatever path a recipe has, is a value of
// the declared type or an error.
func FuzzRead(f *testing.F) {
	f.Add(`{"a": {"b": [1, 2.5]}}`, "a.b", "list(number)", "ms")
	f.Add(`{"a": NaN}`, "a", "number", "")
	f.Add(`{"a b": "x"}`, `["a b"]`, "string", "")
	f.Add(`[{"a": 1e999}]`, "[0].a", "object({ a = number })", "KiB")
	f.Fuzz(func(t *testing.T, text, at, typ, unit string) {
		o := Output{Type: typ, JSON: "r.json", At: at, Unit: unit}
		r := mistake.New()
		o.check(r)
		document, err := parseJSON([]byte(text))
		if err != nil || r.Err() != nil {
			return
		}
		v, err := o.read("a", document)
		if err != nil {
			return
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
		if kind := o.field("a").Type.Kind; kind == pipeline.Number && !json.Valid(b) {
			t.Errorf("%s is no number", b)
		}
	})
}

// A large input, which is a link, may be an output as a small one may.
func TestLargeInputIsOutput(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in")
	f, err := os.Create(in)
	if err == nil {
		err = errors.Join(f.Truncate(linked+1), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Shell: `mkdir d; cp -P in d/x`, Inputs: map[string]artifacts.File{"in": artifacts.Local(in)},
		Declare: map[string]Output{"in": {Type: "file", Path: "in"}, "d": {Type: "dir", Path: "d"}}}
	if _, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), c); err != nil {
		t.Error(err)
	}
}

// A step without a runner: what it makes is there, and its log says what it said.
func TestRun(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(in, []byte("5"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := Config{Shell: `echo "{\"n\": $(cat sub/in)}" >r.json; mkdir d; echo x >d/f`,
		Inputs:  map[string]artifacts.File{"sub/in": artifacts.Local(in)},
		Declare: map[string]Output{"n": {Type: "number", JSON: "r.json"}, "d": {Type: "dir", Path: "d"}}}
	if err := Stage.CheckConfig(c); err != nil {
		t.Fatal(err)
	}
	out, err := run(context.Background(), pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), c)
	if err != nil || out["n"] != 5. {
		t.Fatal(out, err)
	}
	if b, err := os.ReadFile(out["d"].(artifacts.File).Join("f")); err != nil || string(b) != "x\n" {
		t.Errorf("%q, %v", b, err)
	}
}
