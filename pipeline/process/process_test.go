package process

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is also a runner that somebody kills: it runs the shell script in this
// variable.
const scriptVariable = "PROCESS_TEST_SCRIPT"

func TestMain(m *testing.M) {
	script := os.Getenv(scriptVariable)
	if script == "" {
		os.Exit(m.Run())
	}
	p := shell(script)
	p.Line = func(line string) { fmt.Println(line) }
	go tellReplaced()
	if _, err := p.Run(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// tellReplaced prints a line when there is a second watchdog, which then knows everything.
func tellReplaced() {
	var first *os.File
	for {
		guard.mu.Lock()
		if first == nil {
			first = guard.pipe
		} else if guard.pipe != nil && guard.pipe != first {
			fmt.Println("replaced")
			first = guard.pipe
		}
		guard.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}

func shell(script string) *Program {
	return &Program{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}
}

// run runs a script and returns how it ended and what it wrote.
func run(t *testing.T, p *Program) (*Ended, []string) {
	t.Helper()
	var lines []string
	p.Line = func(line string) { lines = append(lines, line) }
	ended, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ended, lines
}

// Both outputs become lines in their order, a progress bar's states among them. The
// environment is what is given, and what must be hidden is.
func TestLines(t *testing.T) {
	p := shell(`echo one; echo two >&2; printf '10%%\r20%%\r'; echo; echo "my $SECRET, $(env | sort | cut -d= -f1 | tr '\n' ' ')"; echo progress >&3; printf end; exit 3`)
	p.Env = append(p.Env, "SECRET=hunter2")
	p.Hide = []string{"hunter2"}
	var extra []string
	p.Extra = func(line string) { extra = append(extra, line) }
	ended, lines := run(t, p)
	want := []string{"one", "two", "10%", "20%", "my (sensitive), EYRIE_JOB PATH PWD SECRET ", "end"}
	got := strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), "_ ", ""), "\n") // dash sets no _
	got[4] = strings.ReplaceAll(strings.ReplaceAll(got[4], "OLDPWD ", ""), "SHLVL ", "")
	if !slices.Equal(got, want) || !slices.Equal(ended.Tail, lines) || !slices.Equal(extra, []string{"progress"}) {
		t.Errorf("%q, %q", got, extra)
	}
	if ended.State.ExitCode() != 3 || ended.Left != 0 || ended.Killed {
		t.Errorf("%+v", ended)
	}
}

// A secret is hidden also where a line is cut in its midst, and line by line where it has
// several.
func TestHidesAcrossCuts(t *testing.T) {
	for n := longestLine - 12; n <= longestLine+12; n++ {
		var got []string
		text := strings.Repeat("x", n) + "topsecret" + strings.Repeat("y", 100) + "\nfirst line\n second"
		readLines(io.NopCloser(strings.NewReader(text)), []string{"topsecret", "first line\nsecond\n"}, func(line string) { got = append(got, line) })
		all := strings.Join(got, "\n")
		for _, part := range []string{"ops", "ret", "first", "second"} {
			if strings.Contains(strings.ReplaceAll(all, "(sensitive)", ""), part) {
				t.Fatalf("%d: %q has %q", n, all[longestLine-20:], part)
			}
		}
		if len(got) != 3 {
			t.Fatalf("%d: %d lines", n, len(got))
		}
	}
}

// Of secrets that overlap, or are within each other, nothing is shown. A brace that is a
// line of a secret hides no other.
func TestHidesOverlaps(t *testing.T) {
	tests := []struct {
		text    string
		secrets []string
		want    string
	}{
		{"a abcdef b", []string{"abc", "abcdef"}, "a (sensitive) b"},
		{"xabcy", []string{"xab", "bcy"}, "(sensitive)"},
		{"aaaa", []string{"aa"}, "(sensitive)"},
		{"s=ss", []string{"s"}, "(sensitive)=(sensitive)(sensitive)"},
		{"abab", []string{"ab"}, "(sensitive)(sensitive)"},
		{"{ \"key\": 1 } \"key\": \"v\"", []string{"{\n  \"key\": \"v\"\n}\n"}, "{ \"key\": 1 } (sensitive)"},
		{"nothing", []string{"", "\n"}, "nothing"},
	}
	for _, test := range tests {
		if got := Hidden(test.text, test.secrets); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

// The part of a secret at which a line is cut is not shown either where others before it
// have made the line shorter.
func TestHidesBehindOthers(t *testing.T) {
	long := strings.Repeat("topsecret", longestLine/4)
	readLines(io.NopCloser(strings.NewReader(long+long)), []string{long}, func(line string) {
		if strings.Contains(line, "top") {
			t.Fatalf("%.300q", line)
		}
	})
	secret := strings.Repeat("topsecret", 20)
	for n := range len(secret) {
		text := strings.Repeat(secret, 20) + strings.Repeat("x", longestLine-20*len(secret)+n) + secret
		readLines(io.NopCloser(strings.NewReader(text)), []string{secret}, func(line string) {
			if strings.Contains(line, "top") {
				t.Fatalf("%d: %q", n, line[len(line)-300:])
			}
		})
	}
}

// A process that cannot be found, and writes for ever, does not keep its program waiting.
func TestEscaped(t *testing.T) {
	needsLinux(t)
	p := shell(`env -i setsid sh -c 'echo $$ >pids; exec yes' & while [ ! -e pids ]; do sleep 0.01; done`)
	p.Dir = t.TempDir()
	run(t, p) // returns; whoever writes then gets SIGPIPE
}

// Nothing is left of a secret that begins as another one does.
func TestHidesSecretsWithinOthers(t *testing.T) {
	var got string
	readLines(io.NopCloser(strings.NewReader("a tokenlonger b token")), []string{"token", "tokenlonger"}, func(line string) { got = line })
	if got != "a (sensitive) b (sensitive)" {
		t.Error(got)
	}
}

// Only the last lines are kept, and a line of any length takes little memory.
func TestTail(t *testing.T) {
	ended, _ := run(t, shell(`i=0; while [ $i -lt 50 ]; do echo $i; i=$((i+1)); done; head -c 3000000 /dev/zero | tr '\0' x`))
	if len(ended.Tail) != lastLines || ended.Tail[0] != "31" || len(ended.Tail[lastLines-1]) > longestLine+100 {
		t.Errorf("%d lines, the first %s", len(ended.Tail), ended.Tail[0])
	}
}

// daemons leaves two processes behind that ignore SIGTERM, one of them in a session of
// its own, and names them in the file pids.
const daemons = `
trap '' TERM
(trap '' TERM; while :; do sleep 0.1; done) >/dev/null 2>&1 &
echo $! >>pids
setsid sh -c 'trap "" TERM; echo $$ >>pids; touch ready; while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1 3>&- &
while [ ! -e ready ]; do sleep 0.01; done
`

// alive returns which of the processes in a file are alive.
func alive(t *testing.T, dir string) (pids []int) {
	t.Helper()
	b, _ := os.ReadFile(filepath.Join(dir, "pids"))
	for _, line := range strings.Fields(string(b)) {
		var pid int
		_, _ = fmt.Sscan(line, &pid)
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(stat), ") Z ") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func needsLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows environments")
	}
}

// What a program leaves behind is killed when it ends, also in another session, and counted.
func TestLeftovers(t *testing.T) {
	needsLinux(t)
	p := shell(daemons)
	p.Dir = t.TempDir()
	ended, _ := run(t, p)
	if left := alive(t, p.Dir); len(left) > 0 || ended.Left < 2 || !ended.State.Success() {
		t.Errorf("%v are alive; %+v", left, ended)
	}
}

// What is in the program's own group is counted before it is killed.
func TestLeftInGroup(t *testing.T) {
	needsLinux(t)
	for range 8 {
		if ended, _ := run(t, shell(`sleep 1000 & sleep 1000 & true`)); ended.Left != 2 {
			t.Fatalf("%d left, want 2", ended.Left)
		}
	}
}

// A program that is told to stop may, within its grace; after that it is killed, with all
// that it started.
func TestStop(t *testing.T) {
	needsLinux(t)
	tests := []struct {
		script string
		grace  time.Duration
		killed bool
		said   string
	}{
		{`trap 'echo stopping; exit 4' TERM; touch ready; while :; do sleep 0.01; done`, time.Hour, false, "stopping"},
		{`trap 'echo stopping; exit 4' TERM; touch ready; while :; do sleep 0.01; done`, 0, false, "stopping"},
		{daemons + `while :; do sleep 0.1; done`, 50 * time.Millisecond, true, ""},
	}
	for _, test := range tests {
		p := shell(test.script)
		p.Dir, p.Grace = t.TempDir(), test.grace
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for _, err := os.Stat(filepath.Join(p.Dir, "ready")); err != nil; _, err = os.Stat(filepath.Join(p.Dir, "ready")) {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		ended, err := p.Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if ended.Killed != test.killed || !strings.HasSuffix(strings.Join(ended.Tail, "\n"), test.said) || len(alive(t, p.Dir)) > 0 {
			t.Errorf("%.30s: killed %v, %q, %v alive", test.script, ended.Killed, ended.Tail, alive(t, p.Dir))
		}
	}
}

// Nothing outlives this process when it is killed, whatever the program has started, and
// whoever waits for its standard error waits until nothing is left. The watchdog itself
// may have been killed before.
func TestKilled(t *testing.T) {
	v := newVictim(t)
	if n := len(alive(t, v.dir)); n != 2 {
		t.Fatalf("%d are alive", n)
	}
	v.kill(t)
}

// victim is a process that runs a program with daemons, and is killed.
type victim struct {
	cmd    *exec.Cmd
	dir    string // of the program
	out    *bufio.Reader
	stderr io.Reader
}

// newVictim starts one, and waits until all of its program is alive.
func newVictim(t *testing.T) *victim {
	t.Helper()
	needsLinux(t)
	v := &victim{cmd: exec.Command(os.Args[0]), dir: t.TempDir()}
	v.cmd.Env = append(os.Environ(), scriptVariable+"="+daemons+`echo all; while :; do sleep 0.1; done`)
	v.cmd.Dir = v.dir
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if v.stderr, err = v.cmd.StderrPipe(); err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.out = bufio.NewReader(out)
	v.expect(t, "all")
	return v
}

// expect reads the next line of the standard output.
func (v *victim) expect(t *testing.T, want string) {
	t.Helper()
	if line, _ := v.out.ReadString('\n'); line != want+"\n" {
		t.Fatalf("%q, want %q", line, want)
	}
}

// kill kills the process, waits until its standard error ends, and looks for what is left.
func (v *victim) kill(t *testing.T) {
	t.Helper()
	_ = v.cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, v.stderr)
	_ = v.cmd.Wait()
	if left := alive(t, v.dir); len(left) > 0 {
		t.Errorf("%v are alive", left)
	}
}

// A watchdog that was killed is replaced.
func TestWatchdogIsReplaced(t *testing.T) {
	run(t, shell(`true`))
	guard.pipe.Close()
	run(t, shell(`true`))
	if len(guard.live) != 0 {
		t.Errorf("%d live", len(guard.live))
	}
}

// A watchdog that was killed is replaced while a program is still running, and the new one
// knows of it.
func TestWatchdogIsReplacedAtOnce(t *testing.T) {
	v := newVictim(t)
	_ = syscall.Kill(watchdogOf(t, v.cmd.Process.Pid), syscall.SIGKILL)
	v.expect(t, "replaced")
	v.kill(t)
}

// watchdogOf returns the ID of a process's watchdog.
func watchdogOf(t *testing.T, pid int) int {
	t.Helper()
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range all {
		b, _ := os.ReadFile(path)
		for _, child := range strings.Fields(string(b)) {
			if name, _ := os.ReadFile("/proc/" + child + "/cmdline"); strings.HasPrefix(string(name), watchdogName) {
				id, _ := strconv.Atoi(child)
				return id
			}
		}
	}
	t.Fatal("there is no watchdog")
	return 0
}

// A program may use the processors that it was given, and the thread that started it has
// all again.
func TestCPUs(t *testing.T) {
	all := CPUs()
	if len(all) < 2 {
		t.Skip("there is one processor")
	}
	p := shell(`grep Cpus_allowed_list /proc/self/status | cut -f2`)
	p.CPUs = all[1:2]
	if _, lines := run(t, p); strings.Join(lines, "") != fmt.Sprint(all[1]) {
		t.Errorf("it has %q, not %d", lines, all[1])
	}
	if !slices.Equal(CPUs(), all) {
		t.Errorf("this process has %v left", CPUs())
	}
}

// A program that cannot be started is an error, and nothing waits for it.
func TestCannotStart(t *testing.T) {
	p := &Program{Path: filepath.Join(t.TempDir(), "none"), Args: []string{"none"}, Extra: func(string) {}}
	if _, err := p.Run(t.Context()); err == nil {
		t.Error("no error")
	}
	if len(guard.live) != 0 {
		t.Errorf("%d live", len(guard.live))
	}
}

// GPUs are numbered among those that the runner is shown.
func TestVisible(t *testing.T) {
	tests := []struct {
		gpus        []int
		shown, want string
	}{
		{nil, "2,3", "[]"},
		{[]int{0, 1}, "", "[CUDA_VISIBLE_DEVICES=0,1]"},
		{[]int{1}, "2, 3", "[CUDA_VISIBLE_DEVICES=3]"},
		{[]int{0}, "GPU-8f", "[CUDA_VISIBLE_DEVICES=GPU-8f]"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(Visible(test.gpus, func(string) string { return test.shown })); got != test.want {
			t.Errorf("%v of %q: %s, want %s", test.gpus, test.shown, got, test.want)
		}
	}
}

// BenchmarkRun times a program that does nothing.
func BenchmarkRun(b *testing.B) {
	p := &Program{Path: "/bin/true", Args: []string{"true"}, Extra: func(string) {}}
	for b.Loop() {
		if _, err := p.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
