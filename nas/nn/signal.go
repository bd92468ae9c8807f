package nn

import (
	"runtime"
	"sync/atomic"
)

// signal wakes one goroutine. It is sent once before each receive returns.
//
// A training step runs some two hundred tasks of 100 µs, and to wake a thread that
// sleeps takes 10 to 50 µs: so the receiver looks for a while before it
// sleeps, which makes a step on two threads 13 % faster (41.6 to 36.3 ms, AVX2).
type signal struct {
	state atomic.Int32
	wake  chan struct{}
}

// The states of a signal.
const (
	awaited  int32 = iota // not sent yet
	sleeping              // not sent yet, and the receiver waits for wake
	sent
	closed // sent for the last time
)

// looks is how many times the receiver polls, about 50 µs in all; yields is how many of
// those it gives way to other goroutines.
const looks, yields = 1 << 15, 1 << 6

func newSignal() *signal { return &signal{wake: make(chan struct{}, 1)} }

// send wakes the receiver with sent or closed.
func (s *signal) send(state int32) {
	if s.state.Swap(state) == sleeping {
		s.wake <- struct{}{}
	}
}

// receive waits for the signal and returns what was sent.
func (s *signal) receive() int32 {
	for i := range looks {
		if state := s.state.Load(); state != awaited {
			s.state.Store(awaited)
			return state
		}
		if i%(looks/yields) == 0 {
			runtime.Gosched()
		}
	}
	if s.state.CompareAndSwap(awaited, sleeping) {
		<-s.wake
	}
	return s.state.Swap(awaited)
}
