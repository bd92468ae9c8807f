package apart

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"syscall"
)

// limit lets the process have this many bytes more than it has now; 0 for as many
// as the system gives it. The garbage collector works the harder the nearer it is.
//
// The limit is RLIMIT_DATA, which counts memory that can be written and is private:
// a process that the stage starts has as much again. RLIMIT_AS counts also what is
// reserved and never touched, and a Go program reserves a lot.
//
// If the system itself runs out of memory, it should kill this process, not the runner.
func limit(bytes float64) error {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0) // a wish
	if bytes <= 0 || bytes >= math.MaxInt64/2 {
		return nil
	}
	has, err := dataSize()
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(int64(bytes))
	most := has + uint64(bytes)
	return syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: most, Max: most})
}

// dataSize returns what RLIMIT_DATA counts of this process, in bytes.
func dataSize() (uint64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var skip, pages uint64
	if _, err := fmt.Sscan(string(b), &skip, &skip, &skip, &skip, &skip, &pages); err != nil {
		return 0, err
	}
	return pages * uint64(os.Getpagesize()), nil
}
