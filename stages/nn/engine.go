package nn

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// maxChunks is into how many parts a batch is cut. The parts do not depend on
// the number of threads, and what they yield is added in their order: so the
// result does not depend on the number of threads either.
const maxChunks = 8

// Engine runs the operators of networks on a number of threads, with one set of
// kernels. Networks of one Engine must not be used at the same time.
type Engine struct {
	k       *kernels
	threads int
	scratch []*scratch // of each thread; the caller of run is thread 0
	wake    []chan struct{}

	work task
	n    int
	next atomic.Int64
	wait sync.WaitGroup

	mu     sync.Mutex
	caught any // a panic of a helper
}

// task is work in independent parts. Parts of one task run at the same time.
type task interface {
	run(part int, s *scratch)
}

// NewEngine returns an Engine of so many threads (0 for GOMAXPROCS) and the
// kernels of this name, one of [Kernels]. Close it after use.
func NewEngine(threads int, kernels string) (*Engine, error) {
	k, err := pick(kernels)
	if err != nil {
		return nil, err
	}
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	e := &Engine{k: k, threads: min(threads, maxChunks)}
	for i := range e.threads {
		e.scratch = append(e.scratch, &scratch{kernels: k})
		if i > 0 {
			wake := make(chan struct{}, 1)
			e.wake = append(e.wake, wake)
			go e.help(wake, e.scratch[i])
		}
	}
	return e, nil
}

// Kernels returns the name of the kernels in use.
func (e *Engine) Kernels() string { return e.k.name }

// Threads returns the number of threads.
func (e *Engine) Threads() int { return e.threads }

// Close stops the threads.
func (e *Engine) Close() {
	for _, w := range e.wake {
		close(w)
	}
	e.wake = nil
}

// run runs the n parts of t and returns when all are done. A panic in a part
// is raised again here.
func (e *Engine) run(n int, t task) {
	helpers := min(n-1, len(e.wake))
	e.work, e.n = t, n
	e.next.Store(0)
	e.wait.Add(helpers)
	for _, w := range e.wake[:max(0, helpers)] {
		w <- struct{}{}
	}
	e.drain(e.scratch[0])
	e.wait.Wait()
	e.work = nil
	if c := e.caught; c != nil {
		e.caught = nil
		panic(c)
	}
}

func (e *Engine) help(wake chan struct{}, s *scratch) {
	for range wake {
		e.drain(s)
		e.wait.Done()
	}
}

// drain runs parts until there are none left.
func (e *Engine) drain(s *scratch) {
	defer func() {
		if c := recover(); c != nil {
			e.mu.Lock()
			e.caught = fmt.Sprintf("%v", c)
			e.mu.Unlock()
		}
	}()
	for {
		i := int(e.next.Add(1)) - 1
		if i >= e.n {
			return
		}
		s.used = 0
		e.work.run(i, s)
	}
}

// chunks returns how many chunks a batch of n images is cut into.
func chunks(n int) int { return min(n, maxChunks) }

// chunk returns the images of chunk i of a batch of n.
func chunk(i, n int) (lo, hi int) {
	c := chunks(n)
	return i * n / c, (i + 1) * n / c
}

// scratch is the working memory of one thread.
type scratch struct {
	*kernels
	buf  []float32
	used int

	constants [2][]float32 // zeros and ones
}

// constant returns n zeros or ones, to be read.
func (s *scratch) constant(v, n int) []float32 {
	c := &s.constants[v]
	for len(*c) < n {
		*c = append(*c, float32(v))
	}
	return (*c)[:n]
}

// floats returns n floats, aligned for vectors, of undefined but finite
// content. They are valid until the part ends.
func (s *scratch) floats(n int) []float32 {
	n = (n + 15) &^ 15
	if s.used+n > len(s.buf) {
		s.buf, s.used = aligned(2*(s.used+n)), 0
	}
	f := s.buf[s.used : s.used+n : s.used+n]
	s.used += n
	return f
}

// zeros returns n zeros, otherwise as floats does.
func (s *scratch) zeros(n int) []float32 {
	f := s.floats(n)
	clear(f)
	return f
}

// aligned returns n zeros that begin at a multiple of 64 bytes, so that
// vectors do not straddle cache lines.
func aligned(n int) []float32 {
	b := make([]float32, n+16)
	off := -int(uintptr(unsafe.Pointer(&b[0]))/4) & 15
	return b[off : off+n : off+n]
}

// grow returns a slice of n floats, f itself where it is large enough.
func grow(f []float32, n int) []float32 {
	if cap(f) < n {
		return aligned(n)
	}
	return f[:n]
}

// pad16 rounds n up to a multiple of 16, the widest vector.
func pad16(n int) int { return (n + 15) &^ 15 }
