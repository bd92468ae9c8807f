package store

import (
	"io"
	"sync"
	"sync/atomic"

	"eyrie/artifacts"
)

// arrivals is how many bytes have come from behind the store, by what they were fetched for: a file, or
// the tree that has it. Those that came in vain count as well.
type arrivals struct {
	all   atomic.Int64 // so far, for whoever waits
	mu    sync.Mutex
	bytes map[artifacts.Digest]int64
}

func (a *arrivals) add(d artifacts.Digest, n int64) {
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes == nil {
		a.bytes = map[artifacts.Digest]int64{}
	}
	a.bytes[d] += n
}

// take returns what has come for some digests, once.
func (a *arrivals) take(digests ...artifacts.Digest) (n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range digests {
		n += a.bytes[d]
		delete(a.bytes, d)
	}
	return n
}

// Arrived returns how many bytes have come from behind the store for some artifacts, and were not told
// of before: what steps share was fetched for the first that asks.
func (s *Store) Arrived(files []artifacts.File) (n int64) {
	if s.behind == nil {
		return 0
	}
	for _, f := range files {
		n += s.arrived.take(f.Digest)
	}
	return n
}

// AllArrived is Arrived for whatever it was fetched for.
func (s *Store) AllArrived() (n int64) {
	s.arrived.mu.Lock()
	defer s.arrived.mu.Unlock()
	for _, v := range s.arrived.bytes {
		n += v
	}
	clear(s.arrived.bytes)
	return n
}

// Fetched returns how many bytes have come from behind the store since it was opened, also of what is still
// on its way.
func (s *Store) Fetched() int64 { return s.arrived.all.Load() }

// counter counts what is read. More than there may be is ErrDamaged, before it fills the disk.
type counter struct {
	io.ReadCloser
	n, most int64
	all     *atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.all.Add(int64(n))
	if c.n += int64(n); c.n > c.most {
		return n, ErrDamaged
	}
	return n, err
}
