//go:build !linux

package process

import (
	"os/exec"
	"syscall"
	"time"
)

// sweep kills a group alone: it would find other processes by their environment, which only
// Linux shows.
func sweep(_ string, leader, _ int, _ time.Duration) int {
	if leader > 0 {
		_ = syscall.Kill(-leader, syscall.SIGKILL)
	}
	return 0
}

func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() }

func confine([]int) (restore func()) { return func() {} }

// CPUs returns nil: programs cannot be confined to some processors here.
func CPUs() []int { return nil }
