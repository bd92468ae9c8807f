package cli

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

// stdout is the standard output. It remembers the first error, so that not every
// line that is printed needs to be asked whether it was.
type stdout struct {
	*os.File
	mu  sync.Mutex
	err error
}

// Write writes to the file.
func (o *stdout) Write(b []byte) (int, error) {
	n, err := o.File.Write(b)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// failure returns why something that was printed is lost, unless nobody wanted to
// read it.
func (o *stdout) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(o.err, syscall.EPIPE) {
		return nil
	}
	return o.err
}
