package process

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// sweep kills all processes whose cookie begins as given, other than the one with this
// id, and returns how many there were. It looks again until it finds none, as they may be
// starting others.
func sweep(prefix string, except int) int {
	const rounds, pause = 400, 5 * time.Millisecond // 2 s, for those that the system takes long to end
	mark := []byte("\x00" + Cookie + "=" + prefix)
	seen := make(map[int]bool)
	for range rounds {
		found := marked(mark, except)
		if len(found) == 0 {
			break
		}
		for _, pid := range found {
			seen[pid] = true
			kill(pid, mark)
		}
		time.Sleep(pause)
	}
	return len(seen)
}

// marked returns the processes whose environment has the mark.
func marked(mark []byte, except int) (pids []int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	buffer := make([]byte, 64<<10)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err == nil && pid != except && pid != os.Getpid() && carries(pid, mark, buffer) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// carries reports whether a process's environment has the mark. One that is ending has no
// environment any more.
func carries(pid int, mark, buffer []byte) bool {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/environ", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	buffer[0] = 0 // the first variable has none before it
	kept := 1
	for {
		n, err := unix.Read(fd, buffer[kept:])
		if n <= 0 || err != nil {
			return false
		}
		if bytes.Contains(buffer[:kept+n], mark) {
			return true
		}
		tail := buffer[max(kept+n-len(mark), 0) : kept+n]
		kept = copy(buffer, tail)
	}
}

// kill kills a process if it still is the one with the mark: its number may be another's by now.
func kill(pid int, mark []byte) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if err == unix.ENOSYS {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return
	}
	defer unix.Close(fd)
	if carries(pid, mark, make([]byte, 64<<10)) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// awaitExit waits until the process has ended and leaves it as it is: until it is reaped,
// no other group has its number.
func awaitExit(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// confine lets the calling thread, and what it starts, use these processors only. It
// returns what takes that back.
func confine(cpus []int) (restore func()) {
	var before, set unix.CPUSet
	if unix.SchedGetaffinity(0, &before) != nil {
		return func() {}
	}
	for _, i := range cpus {
		set.Set(i)
	}
	_ = unix.SchedSetaffinity(0, &set) // a wish: OMP_NUM_THREADS says it, too
	return func() { _ = unix.SchedSetaffinity(0, &before) }
}

// CPUs returns the numbers of the processors that this process may use, nil where
// programs cannot be confined to some.
func CPUs() (cpus []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for i := range 8 * len(set) * 8 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus
}
