package process

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// watchdogName is what a watchdog's first argument is. Its second one is what the cookies
// of its programs begin with.
const watchdogName = "eyrie-watchdog"

// A program that imports this package is its own watchdog, tests included: that cannot be
// left to each main function.
func init() {
	if len(os.Args) == 2 && os.Args[0] == watchdogName {
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
		stand(os.Stdin, os.Args[1])
		os.Exit(0)
	}
}

// guard is this process's watchdog. There is one however many runs there are, because it
// watches the process.
var guard = &watchdog{live: map[*running]bool{}}

// watchdog is the watched process's side.
type watchdog struct {
	mu     sync.Mutex
	prefix string   // what cookies begin with
	count  int      // of cookies so far
	pipe   *os.File // to it; nil while there is none
	begun  int      // programs that have begun and not ended
	live   map[*running]bool
}

// cookie returns a cookie that nobody has.
func (w *watchdog) cookie() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.prefix == "" {
		var b [12]byte
		rand.Read(b[:])
		w.prefix = hex.EncodeToString(b[:]) + "."
	}
	w.count++
	return w.prefix + strconv.Itoa(w.count) + "."
}

// begin says that a program is about to begin. It must come before the program does: the
// watchdog then looks for it by its cookie, even if nobody lives to say which group it is.
func (w *watchdog) begin() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun++
	err := w.say("begin\n")
	if err != nil {
		w.begun--
	}
	return err
}

// group says which group a program has.
func (w *watchdog) group(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live[r] = true
	_ = w.say(fmt.Sprintf("group %d\n", r.cmd.Process.Pid)) // it will still be found by its cookie
}

// end says that nothing of a program is left.
func (w *watchdog) end(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun--
	if !w.live[r] {
		_ = w.say("end 0\n")
		return
	}
	delete(w.live, r)
	_ = w.say(fmt.Sprintf("end %d\n", r.cmd.Process.Pid))
}

// say tells the watchdog something. Where there is none, or it was killed, a new one is
// started and told all that there is.
func (w *watchdog) say(line string) error {
	if w.pipe != nil {
		_, err := io.WriteString(w.pipe, line)
		if err == nil {
			return nil
		}
		w.pipe.Close()
		w.pipe = nil
	}
	pipe, err := launch(w.prefix)
	if err != nil {
		return err
	}
	w.pipe = pipe
	for range w.begun {
		_, err = io.WriteString(pipe, "begin\n")
	}
	for r := range w.live {
		_, e := fmt.Fprintf(pipe, "group %d\n", r.cmd.Process.Pid)
		err = errors.Join(err, e)
	}
	return err
}

// launch starts a watchdog and returns the pipe to it. It keeps this process's standard
// error open, so that whoever reads that to its end waits until nothing is left.
func launch(prefix string) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	self, err := os.Executable()
	if runtime.GOOS == "linux" {
		self, err = "/proc/self/exe", nil // also if the file was replaced
	}
	cmd := &exec.Cmd{Path: self, Args: []string{watchdogName, prefix}, Dir: "/", Env: []string{}, Stdin: read, Stderr: os.Stderr}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		write.Close()
		return nil, err
	}
	go func() { _ = cmd.Wait() }() // so that it is no zombie if it is killed
	return write, nil
}

// stand is the watchdog: it listens until the pipe ends and then kills what has not.
// The end of the pipe comes only after every program has begun, because one that is being
// started holds it, too.
func stand(pipe io.Reader, prefix string) {
	begun, groups := 0, map[int]bool{}
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		var what string
		var pid int
		_, _ = fmt.Sscan(lines.Text(), &what, &pid)
		switch what {
		case "begin":
			begun++
		case "group":
			groups[pid] = true
		case "end":
			begun--
			delete(groups, pid)
		}
	}
	if begun <= 0 {
		return
	}
	for pid := range groups {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	sweep(prefix, 0)
}
