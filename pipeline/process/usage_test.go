package process

import (
	"runtime"
	"testing"
	"time"
)

// burn is a script that takes a tenth of a second of the processor in a process that the
// script's own has waited for, and holds 40 MB.
const burn = `sh -c '
	x=$(head -c 40000000 /dev/zero | tr "\0" x)
	u=0
	while [ "$u" -lt 10 ]; do
		i=0
		while [ $i -lt 5000 ]; do i=$((i + 1)); done
		read -r _ _ _ _ _ _ _ _ _ _ _ _ _ u _ </proc/self/stat
	done'`

// What a program has used is that of all that it has waited for. The memory of one that held
// less than this process is not known: what the system counts for it is this process's.
func TestUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the script reads /proc")
	}
	ended, _ := run(t, shell(burn))
	if u := ended.Usage; u.CPU < 100*time.Millisecond || u.Memory < 40e6 || u.Part {
		t.Errorf("used %+v", u)
	}
	if all := Own(); all.CPU < ended.Usage.CPU || all.Memory < 40e6 || all.Read < 40e6 || all.Written < 40e6 {
		t.Errorf("this process and its children used %+v", all)
	}
	if ended, _ = run(t, shell("true")); ended.Usage.Memory != 0 {
		t.Errorf("a small program held %d bytes, this process %d", ended.Usage.Memory, peak())
	}
}

// What could not be measured is not all there is: what a program left behind, and what is no
// descendant of its.
func TestUsageInPart(t *testing.T) {
	left, _ := run(t, shell("sleep 60 &"))
	finally := shell("true")
	finally.Finally = []string{"/bin/true"}
	elsewhere, _ := run(t, finally)
	if !left.Usage.Part || !elsewhere.Usage.Part {
		t.Errorf("%+v, %+v", left.Usage, elsewhere.Usage)
	}
}
