package team

import (
	"sync"
	"time"
)

// health says whether a bucket is worth asking. After some failures in a row it is left alone for
// a while, so that a run without a network does not wait for each of its requests. Then one request
// finds out whether it is back: a run may take days, and the restart of a server a minute.
type health struct {
	mu       sync.Mutex
	failures int           // in a row
	pause    time.Duration // for which it is left alone
	until    time.Time
}

// mostFailures is after how many requests in a row that failed, each after retries of its
// own, a bucket is taken for away.
const mostFailures = 3

// shortestAway and longestAway are how long it is left alone, at first and in the end.
const shortestAway, longestAway = 30 * time.Second, 10 * time.Minute

// mayAsk reports whether a request may be sent.
func (h *health) mayAsk() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures < mostFailures {
		return true
	}
	now := time.Now()
	if now.Before(h.until) {
		return false
	}
	h.pause = min(2*h.pause, longestAway)
	h.until = now.Add(h.pause) // others wait for what becomes of this one
	return true
}

// answered notes that a request was answered, and reports whether the bucket was away.
func (h *health) answered() (was bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was = h.failures >= mostFailures
	h.failures, h.pause = 0, 0
	return was
}

// failed notes that a request was not answered.
func (h *health) failed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures++; h.failures == mostFailures { // more that were under way change nothing
		h.pause = shortestAway
		h.until = time.Now().Add(h.pause)
	}
}

// lastChance has requests be sent as if nothing had failed, as nobody will ask later.
func (h *health) lastChance() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
}
