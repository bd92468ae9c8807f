package export

import (
	"os/exec"
	"syscall"
)

// group gives a command a process group, for what it starts, and stop ends that.
func group(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func stop(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
