package process

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what processes have used. A system counts a process when it has been waited for:
// one that outlived its parent is in no count but its own.
type Usage struct {
	CPU     time.Duration // user and system
	Memory  int64         // bytes: the most that one of them held; 0 where that is not known
	Read    int64         // bytes, by system calls, whatever they were of; 0 where that is not known
	Written int64         // likewise
	Part    bool          // more was used where it could not be measured, as in a container
}

// Plus returns the usage of both.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.CPU + v.CPU, max(u.Memory, v.Memory), u.Read + v.Read, u.Written + v.Written, u.Part || v.Part}
}

// UsageOf returns what a child has used that has ended, with its descendants.
//
// On Linux its memory is known only where it held more than this process has. A child shares
// the memory of its parent until it becomes another program, and the system counts that as
// its own: under a runner of 200 MiB, true has held 200 MiB.
func UsageOf(state *os.ProcessState) Usage {
	u := Usage{CPU: state.UserTime() + state.SystemTime()}
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		u.Memory = resident(r)
	}
	if runtime.GOOS == "linux" && u.Memory <= peak() {
		u.Memory = 0
	}
	return u
}

// Own returns what this process has used so far, with those of its descendants that have
// ended.
func Own() Usage {
	var self, children syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self) // fails for no such argument
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
	u := Usage{CPU: times(&self) + times(&children), Memory: max(resident(&self), resident(&children))}
	if runtime.GOOS == "linux" { // what the system says of itself begins with what its parent held
		u.Memory = max(peak(), resident(&children))
	}
	io := numbers("/proc/self/io")
	u.Read, u.Written = io["rchar"], io["wchar"]
	return u
}

func times(r *syscall.Rusage) time.Duration {
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// resident returns the most memory that was held, in bytes. Systems count in KiB, other than
// Apple's.
func resident(r *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(r.Maxrss)
	}
	return int64(r.Maxrss) << 10
}

// peak returns the most memory that this process has held on Linux, in bytes; 0 elsewhere.
func peak() int64 { return numbers("/proc/self/status")["VmHWM"] << 10 }

// numbers reads a file of lines such as "VmHWM: 12 kB"; none where there is no such file.
func numbers(path string) map[string]int64 {
	b, _ := os.ReadFile(path)
	all := map[string]int64{}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		if fields := strings.Fields(rest); len(fields) > 0 {
			if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
				all[name] = n
			}
		}
	}
	return all
}
