package process

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// sweep kills all processes whose cookie begins as given, and the group of leader, unless that
// is 0, but not leader itself. It returns how many processes there were, and looks again until
// it finds none, as they may be starting others.
//
// A process that is becoming another program has no environment for a moment. So one that
// has none, and is no older than the process since, is waited for, for a while.
func sweep(prefix string, leader, since int, wait time.Duration) int {
	const rounds, pause = 400, 5 * time.Millisecond // 2 s, for those that the system takes long to end
	mark := []byte("\x00" + Cookie + "=" + prefix)
	youngest := look(since).started
	all := make(map[int]bool)
	for range rounds {
		found, blank := marked(mark, leader, youngest)
		if leader > 0 { // now that its processes are counted
			_ = unix.Kill(-leader, unix.SIGKILL)
		}
		if len(found) == 0 && (!blank || wait <= 0) {
			break
		}
		for _, pid := range found {
			all[pid] = true
			kill(pid, mark)
		}
		time.Sleep(pause)
		wait -= pause
	}
	return len(all)
}

// marked returns the processes, other than leader, whose environment has the mark, and those
// of leader's group that are becoming another program, and whether there is one
// without any environment that started at the time since or later.
func marked(mark []byte, leader, since int) (pids []int, blank bool) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, false
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	buffer := make([]byte, 64<<10)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == leader || pid == os.Getpid() {
			continue
		}
		has, empty := carries(pid, mark, buffer)
		if empty {
			p := look(pid)
			has = p.alive && leader > 0 && p.group == leader
			blank = blank || p.alive && p.started >= since
		}
		if has {
			pids = append(pids, pid)
		}
	}
	return pids, blank
}

// seen is what the system shows of a process.
type seen struct {
	alive   bool // it has memory: kernel threads and processes that have ended have none
	group   int
	started int // in ticks since the system did
}

func look(pid int) (p seen) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return p
	}
	const state, group, start, size = 0, 2, 19, 20 // behind the name, which may have anything in it
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) <= size {
		return p
	}
	p.alive = string(fields[size]) != "0" && string(fields[state]) != "Z"
	p.group, _ = strconv.Atoi(string(fields[group]))
	p.started, _ = strconv.Atoi(string(fields[start]))
	return p
}

// carries reports whether a process's environment has the mark, or is empty.
func carries(pid int, mark, buffer []byte) (has, empty bool) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/environ", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, false
	}
	defer unix.Close(fd)
	buffer[0] = 0 // the first variable has none before it
	kept := 1
	for empty = true; ; empty = false {
		n, err := unix.Read(fd, buffer[kept:])
		if n <= 0 || err != nil {
			return false, empty && err == nil
		}
		if bytes.Contains(buffer[:kept+n], mark) {
			return true, false
		}
		kept = copy(buffer, buffer[max(kept+n-len(mark), 0):kept+n])
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
	if has, _ := carries(pid, mark, make([]byte, 64<<10)); has {
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
