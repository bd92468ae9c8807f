package torch

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"eyrie/nas/train"
	"eyrie/pipeline/mistake"
	"eyrie/pipeline/process"
)

// Machine is what a session may use: a pipeline.Task.
type Machine interface {
	CPUs() int
	CPUSet() []int
	GPUs() []int
	Grace() time.Duration
	Path(name string) string
	Used(process.Usage)
	Log() *zerolog.Logger
}

// Report is what computed the numbers of a step: their provenance, and no part of a key.
type Report struct {
	Python     string   `json:"python" doc:"version of Python"`
	Torch      string   `json:"torch" doc:"version of PyTorch"`
	CUDA       string   `json:"cuda" doc:"version of CUDA that PyTorch was built for; empty on a CPU"`
	Device     string   `json:"device" doc:"the GPU; empty on a CPU"`
	Idle       *float64 `json:"idle" provenance:"measured" doc:"share of the training's time in which rank 0 waited for images; null where nothing was trained"`
	PeakMemory *int64   `json:"peak_memory" provenance:"measured" unit:"bytes" doc:"most memory of its GPU that rank 0 has held; null on a CPU"`
}

// Session is a [train.Backend] whose weights are in the ranks of a worker.
type Session struct {
	job     train.Job
	log     *zerolog.Logger
	changed bool // the weights are not the job's any more

	report          Report
	waited, trained float64 // seconds: rank 0 for images, and of all steps

	conn net.Conn
	in   *bufio.Reader
	stop context.CancelFunc // tells the ranks to stop, and kills those that do not within the grace

	mu     sync.Mutex
	failed error          // why the ranks ended, of the first that did
	ranks  sync.WaitGroup // that run
	over   bool           // they were told to end
}

// timeout is how long the ranks may take to import PyTorch and find each other.
const timeout = 5 * time.Minute

// patience is how long a rank that was told to stop may take, where the run sets no grace.
const patience = time.Minute

// Open starts the ranks and gives them the job's weights. An error that the machine lacks
// something is a mistake in the attribute torch.
func Open(ctx context.Context, m Machine, o Options, job train.Job) (*Session, error) {
	python, err := o.python()
	if err != nil {
		return nil, err
	}
	if n := len(m.GPUs()) * machines(os.Getenv); o.Device == CUDA && n > 0 && n < o.ranks() && len(o.Launch) == 0 {
		return nil, mistake.At("torch.ranks", "%d, one for each GPU, but resources grants %s", o.ranks(), gpus(n))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	token := make([]byte, 16)
	_, _ = rand.Read(token) // never fails
	s := &Session{job: job, log: m.Log()}
	dir := m.Path("torch")
	args, err := s.write(dir, m, o, listener.Addr().String(), hex.EncodeToString(token))
	if err != nil {
		return nil, err
	}
	if err := s.start(dir, m, o, append([]string{python}, args...)); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.connect(ctx, listener, hex.EncodeToString(token)); err != nil {
		s.Close()
		return nil, s.because(ctx, err)
	}
	context.AfterFunc(ctx, s.stop)
	if _, _, err := s.do(ctx, order{Order: "load"}, job.Supernet.Encode(), nil); err != nil {
		s.Close()
		return nil, err
	}
	s.introduce(o.ranks())
	return s, nil
}

// introduce logs what computes.
func (s *Session) introduce(ranks int) {
	e := s.log.Info().Str("python", s.report.Python).Str("torch", s.report.Torch)
	if s.report.Device != "" {
		e = e.Str("cuda", s.report.CUDA).Str("device", s.report.Device)
	}
	if ranks == 1 {
		e.Msg("PyTorch computes in one process")
	} else {
		e.Msgf("PyTorch computes in %d processes", ranks)
	}
}

func (o Options) ranks() int { return max(1, int(o.Ranks)) }

// python returns the path of the interpreter.
func (o Options) python() (string, error) {
	name := cmp.Or(o.Python, "python3")
	path, err := exec.LookPath(name)
	if err != nil {
		return "", mistake.At("torch.python", "there is no %s: %s", name, install)
	}
	return path, nil
}

// install is what to do where there is no PyTorch.
const install = `install Python 3 with PyTorch (python3 -m pip install torch, or Debian's python3-torch), or write torch = { python = "/path/of/python3" }`

// jobFile is what the ranks and their feeders read.
type jobFile struct {
	Space     any      `json:"space"`
	Device    Device   `json:"device"`
	Precision string   `json:"precision"`
	Ranks     int      `json:"ranks"`
	Connect   string   `json:"connect"`
	Token     string   `json:"token"`
	Feeder    []string `json:"feeder"`
	Feed      feed     `json:"feed"`
}

// write writes the worker and its job into dir, and returns the command of a rank without the
// interpreter.
func (s *Session) write(dir string, m Machine, o Options, address, token string) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := writeWorker(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "job.json")
	f := feed{
		Set: s.job.Set, Holdout: s.job.Holdout, Batch: s.job.Batch, Seed: s.job.Seed, Augment: s.job.Augment,
		Threads: max(1, cmp.Or(o.Loaders, m.CPUs())/o.ranks()),
	}
	for _, place := range f.files() {
		f.Paths = append(f.Paths, *place)
	}
	b, err := json.Marshal(jobFile{
		Space: s.job.Supernet.Space(), Device: cmp.Or(o.Device, CPU), Precision: string(cmp.Or(o.Precision, Float32)), Ranks: o.ranks(),
		Connect: address, Token: token, Feeder: []string{self, feederName, path}, Feed: f,
	})
	if err != nil {
		return nil, err
	}
	return []string{"-B", "-u", program, path}, os.WriteFile(path, b, 0o600)
}

// start starts the ranks, or what starts them, in dir.
func (s *Session) start(dir string, m Machine, o Options, rank []string) error {
	life, stop := context.WithCancel(context.Background())
	s.stop = stop
	launch := o.launcher(os.Getenv)
	env, err := o.environment(m, launch)
	if err != nil {
		return err
	}
	run := func(name string, log zerolog.Logger, command []string, env ...string) {
		p := &process.Program{
			Path: command[0], Args: command, Dir: dir, Env: env,
			Line: func(line string) { log.Info().Msg(line) },
			CPUs: m.CPUSet(), Grace: cmp.Or(m.Grace(), patience),
		}
		s.ranks.Go(func() {
			ended, err := p.Run(life)
			if err == nil {
				ended.Usage.Part = ended.Usage.Part || len(launch) > 0 // ranks may be on other machines
				m.Used(ended.Usage)
			}
			s.ended(name, ended, err)
		})
	}
	if len(launch) > 0 {
		launcher, err := o.lookup(launch[0])
		if err != nil {
			return err
		}
		run(launch[0], *s.log, slices.Concat([]string{launcher}, launch[1:], rank), env...)
		return nil
	}
	for i := range o.ranks() {
		number := strconv.Itoa(i)
		run("rank "+number, s.log.With().Int("rank", i).Logger(), rank,
			append(slices.Clip(env), "RANK="+number, "LOCAL_RANK="+number, "WORLD_SIZE="+strconv.Itoa(o.ranks()))...)
	}
	return nil
}

// environment returns the environment of all ranks.
func (o Options) environment(m Machine, launch []string) ([]string, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(),
		"MASTER_PORT="+strconv.Itoa(port), "OMP_NUM_THREADS="+strconv.Itoa(max(1, m.CPUs()/o.ranks())), "CUBLAS_WORKSPACE_CONFIG=:4096:8")
	if len(launch) == 0 || len(o.Launch) > 0 { // where Slurm starts the ranks, it shows each the GPUs of its machine
		env = append(env, process.Visible(m.GPUs(), os.Getenv)...)
	}
	if len(launch) > 0 { // perhaps on other machines
		host, err := os.Hostname()
		return append(env, "MASTER_ADDR="+host), err
	}
	if runtime.GOOS == "linux" { // else gloo looks up this machine's name, which may lead nowhere
		env = append(env, "GLOO_SOCKET_IFNAME=lo")
	}
	return append(env, "MASTER_ADDR=127.0.0.1"), nil
}

// Systems hand out ports above these, so that one that is free here usually stays free until
// rank 0 listens on it.
const firstPort, lastPort = 20000, 32000

// freePort returns a port on which nobody listens.
func freePort() (int, error) {
	for range 100 {
		port := firstPort + mrand.IntN(lastPort-firstPort)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no port between %d and %d is free, at which the ranks could meet", firstPort, lastPort)
}

// ended notes that a rank or the launcher has ended and, unless Close asked for that, why. It stops the
// others, which can do nothing without it.
func (s *Session) ended(name string, ended *process.Ended, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// One that was killed could not say why, and is the cause of what others have said that missed it.
	if !s.over && (s.failed == nil || err == nil && !ended.State.Exited()) {
		s.failed = reason(name, ended, err)
	}
	s.stop()
	if s.conn != nil {
		_ = s.conn.SetReadDeadline(time.Now().Add(time.Second)) // rank 0 may have said more than its exit code does
	}
}

// reason says why a rank, or what starts the ranks, ended.
func reason(name string, ended *process.Ended, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s cannot be started: %w", name, err)
	case !ended.State.Exited():
		return fmt.Errorf("%s was ended by a %v, often for want of memory: run again to go on from the last checkpoint", name, ended.State)
	case strings.Contains(strings.Join(ended.Tail, "\n"), "No module named 'torch'"):
		return mistake.At("torch.python", "it has no PyTorch: %s", install)
	case ended.State.Success():
		return fmt.Errorf("%s ended before the work was done, with exit code 0: what starts ranks must wait for their end", name)
	case len(ended.Tail) == 0:
		return fmt.Errorf("%s ended with exit code %d", name, ended.State.ExitCode())
	}
	return fmt.Errorf("%s ended with exit code %d; the end of its log:\n  %s", name, ended.State.ExitCode(), strings.Join(ended.Tail, "\n  "))
}

// connect waits for rank 0.
func (s *Session) connect(ctx context.Context, listener net.Listener, token string) error {
	deadline := time.Now().Add(timeout)
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if s.why() != nil {
			return s.why()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the worker has not begun within %v", timeout)
		}
		_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
		conn, err := listener.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		} else if err != nil {
			return err
		}
		if s.greeted(conn, token) {
			return nil
		}
		conn.Close() // not rank 0
	}
}

// greeted reports whether the connection is rank 0's, and takes it.
func (s *Session) greeted(conn net.Conn, token string) bool {
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReaderSize(conn, 1<<16)
	line, err := in.ReadBytes('\n')
	var hello struct {
		Hello    string `json:"hello"`
		Versions Report `json:"versions"`
	}
	if err != nil || json.Unmarshal(line, &hello) != nil || hello.Hello != token {
		return false
	}
	_ = conn.SetReadDeadline(time.Time{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.in, s.report = conn, in, hello.Versions
	return true
}

// why returns why the ranks ended, or nil.
func (s *Session) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// because explains a failed exchange with the worker: by why the ranks ended, if they did.
func (s *Session) because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
		var op *net.OpError
		if !errors.As(err, &op) {
			return err
		}
	}
	if why := s.lost(); why != nil {
		return why
	}
	return fmt.Errorf("the connection to the worker is gone: %w", err)
}

// lost waits for the ranks to end, as they must when one is lost, and returns why they did.
func (s *Session) lost() error {
	all := make(chan struct{})
	go func() { s.ranks.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(10 * time.Second):
	}
	return s.why()
}

// Close ends the ranks and waits until nothing of them is left.
func (s *Session) Close() {
	s.mu.Lock()
	s.over = true
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		b, _ := json.Marshal(order{Order: "exit"})
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write(append(b, '\n')); err == nil {
			_, _ = io.Copy(io.Discard, s.in)
		}
		conn.Close()
	}
	if s.stop != nil {
		s.stop()
	}
	s.ranks.Wait()
}
