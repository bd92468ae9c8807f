package nn

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"
)

// maxChunks is into how many parts a batch is cut. The parts do not depend on
// the number of threads, and what they yield is added in their order: so the
// result does not depend on the number of threads either.
const maxChunks = 8

// Engine runs the operators of networks on a number of threads, with one set of
// kernels. It runs one network at a time.
type Engine struct {
	k       *kernels
	threads int
	scratch []*scratch // of each thread; the caller of run is thread 0
	helpers []*signal  // of the other threads: there is work
	done    *signal    // to the caller of run: the others have finished

	work   task
	n      int          // parts
	shares []share      // of each thread that takes part
	back   bool         // the shares are gone through from their ends
	left   atomic.Int32 // helpers at work

	mu     sync.Mutex
	caught any // a panic of a helper
}

// share is how far a thread's own parts are done. Each has a cache line.
type share struct {
	next atomic.Int64
	_    [56]byte
}

// task is work in independent parts. Parts of one task run at the same time.
type task interface {
	run(part int, s *scratch)
}

// NewEngine returns an Engine with the given number of threads (0 for GOMAXPROCS) and
// the arithmetic, which must be one of this machine's. Close it after use.
func NewEngine(threads int, arithmetic Arithmetic) (*Engine, error) {
	k, err := pick(string(arithmetic))
	if err != nil {
		return nil, err
	}
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	e := &Engine{k: k, threads: min(threads, maxChunks), done: newSignal()}
	e.shares = make([]share, e.threads)
	for i := range e.threads {
		e.scratch = append(e.scratch, &scratch{kernels: k})
		if i > 0 {
			work := newSignal()
			e.helpers = append(e.helpers, work)
			go e.help(i, work)
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
	for _, h := range e.helpers {
		h.send(closed)
	}
	e.helpers = nil
}

// run runs the n parts of t and returns when all are done. A panic in a part
// is raised again here.
//
// Each thread has its share of the parts, the same from task to task, and goes
// through it in alternating directions, so that it finds in its cache what it
// left there; a thread that is done helps the others.
func (e *Engine) run(n int, t task) {
	threads := min(max(n, 1), e.threads)
	e.work, e.n, e.back = t, n, !e.back
	e.shares = e.shares[:threads]
	for i := range e.shares {
		e.shares[i].next.Store(0)
	}
	e.left.Store(int32(threads - 1))
	for _, h := range e.helpers[:threads-1] {
		h.send(sent)
	}
	e.drain(0)
	if threads > 1 {
		e.done.receive()
	}
	e.work = nil
	if c := e.caught; c != nil {
		e.caught = nil
		panic(c)
	}
}

func (e *Engine) help(thread int, work *signal) {
	for work.receive() != closed {
		e.drain(thread)
		if e.left.Add(-1) == 0 {
			e.done.send(sent)
		}
	}
}

// drain runs parts until there are none left: the thread's own, then others'.
func (e *Engine) drain(thread int) {
	defer func() {
		if c := recover(); c != nil {
			e.mu.Lock()
			e.caught = fmt.Sprintf("%v\n%s", c, debug.Stack())
			e.mu.Unlock()
		}
	}()
	s := e.scratch[thread]
	for i := range e.shares {
		owner := (thread + i) % len(e.shares)
		lo, hi := owner*e.n/len(e.shares), (owner+1)*e.n/len(e.shares)
		for {
			at := int(e.shares[owner].next.Add(1)) - 1
			if at >= hi-lo {
				break
			}
			s.used = 0
			if e.back {
				e.work.run(hi-1-at, s)
			} else {
				e.work.run(lo+at, s)
			}
		}
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
