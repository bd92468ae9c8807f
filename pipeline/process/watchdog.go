package process

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
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
	prefix string            // what cookies begin with
	count  int               // of cookies so far
	pipe   *os.File          // to it; nil while there is none
	live   map[*running]bool // programs that have begun and not ended
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

// note is what a watchdog is told of a program, a line of JSON.
type note struct {
	Cookie  string   `json:"cookie"`
	Group   int      `json:"group,omitempty"` // 0 while it is not known
	Finally []string `json:"finally,omitempty"`
	Ended   bool     `json:"ended,omitempty"`
}

// note returns what is known of the program. The caller holds the watchdog's mu.
func (r *running) note() note {
	return note{Cookie: r.cookie, Group: r.group, Finally: r.program.Finally}
}

// begin says that a program is about to begin. It must come before the program does: the
// watchdog then looks for it by its cookie, even if nobody lives to say which group it is.
func (w *watchdog) begin(r *running) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live[r] = true
	err := w.say(r.note())
	if err != nil {
		delete(w.live, r)
	}
	return err
}

// group says which group a program has.
func (w *watchdog) group(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.group = r.cmd.Process.Pid
	_ = w.say(r.note()) // it will still be found by its cookie
}

// end says that nothing of a program is left.
func (w *watchdog) end(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.live, r)
	_ = w.say(note{Cookie: r.cookie, Ended: true})
}

// say tells the watchdog something. Where there is none, or it was killed, a new one is
// started and told all that there is.
func (w *watchdog) say(n note) error {
	if w.pipe != nil {
		err := json.NewEncoder(w.pipe).Encode(n)
		if err == nil {
			return nil
		}
		w.pipe.Close()
		w.pipe = nil
	}
	return w.replace()
}

// replace starts a watchdog and tells it all that there is.
func (w *watchdog) replace() error {
	pipe, ended, err := launch(w.prefix)
	if err != nil {
		return err
	}
	w.pipe = pipe
	began := time.Now()
	go func() { <-ended; w.lost(pipe, time.Since(began)) }()
	for r := range w.live {
		err = errors.Join(err, json.NewEncoder(pipe).Encode(r.note()))
	}
	return err
}

// lost replaces a watchdog that has ended, which it does only if somebody kills it. One that
// ended at once is not replaced before the next program begins: its heir would do no better.
func (w *watchdog) lost(pipe *os.File, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pipe != pipe {
		return
	}
	w.pipe.Close()
	w.pipe = nil
	if len(w.live) > 0 && after > leastWatch {
		_ = w.replace() // the next program tries again, and tells
	}
}

// leastWatch is how long a watchdog lives that is replaced at once.
const leastWatch = 10 * time.Millisecond

// launch starts a watchdog and returns the pipe to it, and what is closed when it ends. It
// keeps this process's standard error open, so that whoever reads that to its end waits until
// nothing is left.
func launch(prefix string) (pipe *os.File, ended <-chan struct{}, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer read.Close()
	self, err := os.Executable()
	if runtime.GOOS == "linux" {
		self, err = "/proc/self/exe", nil // also if the file was replaced
	}
	cmd := &exec.Cmd{Path: self, Args: []string{watchdogName, prefix}, Dir: "/", Env: withoutCookie(os.Environ()), Stdin: read, Stderr: os.Stderr}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		write.Close()
		return nil, nil, err
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	return write, gone, nil
}

// withoutCookie returns an environment in which another runner, which runs this one, does
// not find it: the watchdog has to outlive its runner in that case, too.
func withoutCookie(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, Cookie+"=") })
}

// stand is the watchdog: it listens until the pipe ends and then ends what has not.
// The end of the pipe comes only when every program has begun, because a process holds it, too,
// until it becomes the program.
func stand(pipe io.Reader, prefix string) {
	live := map[string]note{}
	for d := json.NewDecoder(pipe); ; {
		var n note
		if err := d.Decode(&n); err != nil {
			break
		}
		if n.Ended {
			delete(live, n.Cookie)
		} else {
			live[n.Cookie] = n
		}
	}
	if len(live) == 0 {
		return
	}
	for _, n := range live {
		if n.Group > 0 {
			_ = syscall.Kill(-n.Group, syscall.SIGKILL)
		}
	}
	sweep(prefix, 0, os.Getpid(), 2*patience) // programs are younger than their watchdog
	for _, n := range live {
		finish(n.Finally)
	}
}
