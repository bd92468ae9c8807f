package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
)

// On a terminal a run is shown live: a line with a bar for the running step,
// with rate, note and time left, which gives way to a line for good.
func TestTerminal(t *testing.T) {
	s := startOnTerminal(t, `
stage "value" "before" {
  value = 1
}

stage "slow" "train" {
  steps = 150
  seed  = stage.before.value
}

output "table" {
  value = "| a |\n|---|\n| ${stage.train.counted} |\n"
}
`)
	s.await(t, `(?m)^✓ before +\d+ ms$`)
	s.await(t, `(?m)^  train +━+─+  +\d\d%  \d.* left  \d+/150 steps  [\d.]+ steps/s  state \d+$`)
	s.await(t, `(?m)^1 of 2 steps ended, `)
	if code := s.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	want := `^a.hcl: 1 to run, 1 known after
✓ before +\d+ ms
✓ train +\d\.\d s
2 ran in .*; run .*

table:

\| a \|
\|---\|
\| 150 \|
$`
	if got := s.String(); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("at the end the terminal shows\n%s\nwant %s", got, want)
	}
	if !s.coloured {
		t.Error("no colours on a terminal")
	}
}

// The second Ctrl-C leaves at once, and no half-drawn bar.
func TestTerminalInterrupted(t *testing.T) {
	s := startOnTerminal(t, "stage \"stubborn\" \"mule\" {\n  seconds = 60\n}\n", "NO_COLOR=1")
	s.await(t, `(?m)^  mule`)
	s.file.Write([]byte{3}) // Ctrl-C
	s.await(t, `(?m)^stopping: waiting`)
	s.file.Write([]byte{3})
	if code := s.wait(t); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if got := s.String(); strings.Contains(got, "mule") || strings.Contains(got, "ended") {
		t.Errorf("the bars are still there:\n%s", got)
	}
	if s.coloured {
		t.Error("colours in spite of NO_COLOR")
	}
}

// Documentation is set within a narrow terminal.
func TestTerminalNarrow(t *testing.T) {
	const width = 66
	for _, args := range [][]string{{"stages"}, {"stages", "train-supernet"}, {"functions"}, {"plan", "--help"}} {
		cmd := exec.Command("eyrie", args...)
		tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: width})
		if err != nil {
			t.Fatal(err)
		}
		defer tty.Close()
		text, _ := io.ReadAll(tty) // an error, EIO, ends what a terminal says
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		doc := regexp.MustCompile(`(?m)^ {6}[^ ].*$`) // of a flag, function or field
		for _, line := range doc.FindAllString(escapes.ReplaceAllString(string(text), ""), -1) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\r")); n > width {
				t.Errorf("%v: %d columns: %s", args, n, line)
			}
		}
	}
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// screen is a terminal as far as the live view needs one: it shows what a
// person would see.
type screen struct {
	cmd  *exec.Cmd
	file *os.File
	done chan struct{}

	mu       sync.Mutex
	rows     [][]rune
	row, col int
	coloured bool
	wide     bool // a line was longer than the terminal
}

const columns = 100

// startOnTerminal runs a recipe on a terminal of its own.
func startOnTerminal(t *testing.T, recipe string, env ...string) *screen {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(recipe), 0o666); err != nil {
		t.Fatal(err)
	}
	s := &screen{cmd: exec.Command("runner", "run", "a.hcl"), done: make(chan struct{})}
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), append([]string{"TERM=xterm", "NO_COLOR="}, env...)...)
	var err error
	if s.file, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.file.Close() })
	go s.read()
	return s
}

func (s *screen) read() {
	defer close(s.done)
	buf := make([]byte, 4096)
	var pending []byte
	for {
		n, err := s.file.Read(buf)
		pending = s.show(append(pending, buf[:n]...))
		if err != nil {
			return
		}
	}
}

var escape = regexp.MustCompile(`^\x1b\[([0-9;]*)([A-Za-z])`)

// show draws b, and returns what of it is not complete.
func (s *screen) show(b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(b) > 0 {
		if b[0] == 0x1b {
			m := escape.FindSubmatch(b)
			if m == nil {
				return b
			}
			s.control(string(m[1]), m[2][0])
			b = b[len(m[0]):]
			continue
		}
		r := []rune(string(b))[0]
		if r == '\uFFFD' && len(b) < 4 {
			return b
		}
		s.put(r)
		b = b[len(string(r)):]
	}
	return nil
}

func (s *screen) control(args string, command byte) {
	n, _ := strconv.Atoi(args)
	switch command {
	case 'A': // up
		s.row = max(0, s.row-max(1, n))
	case 'J': // clear what follows
		if s.row < len(s.rows) {
			s.rows = append(s.rows[:s.row], s.rows[s.row][:min(s.col, len(s.rows[s.row]))])
		}
	case 'm':
		s.coloured = true
	}
}

func (s *screen) put(r rune) {
	switch r {
	case '\r':
		s.col = 0
		return
	case '\n':
		s.row++
		return
	}
	for len(s.rows) <= s.row {
		s.rows = append(s.rows, nil)
	}
	line := s.rows[s.row]
	for len(line) <= s.col {
		line = append(line, ' ')
	}
	line[s.col] = r
	s.col++
	s.wide = s.wide || s.col > columns
	s.rows[s.row] = line
}

// String returns what the terminal shows.
func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.rows {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return b.String()
}

// await waits until the terminal shows a match of the pattern.
func (s *screen) await(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if re.MatchString(s.String()) {
			return
		}
	}
	t.Fatalf("the terminal never showed %s; it shows\n%s", pattern, s)
}

// wait waits for the end of the process and returns its exit code.
func (s *screen) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		s.cmd.Process.Signal(syscall.SIGKILL)
		t.Fatalf("the process does not end; the terminal shows\n%s", s)
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if s.wide {
		t.Error("a line was longer than the terminal is wide")
	}
	return s.cmd.ProcessState.ExitCode()
}
