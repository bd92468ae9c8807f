package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// commitChild commits action i in the store and is killed before the step'th
// change that it makes to the store.
func commitChild(args []string) error {
	i, _ := strconv.Atoi(args[1])
	step, _ := strconv.Atoi(args[2])
	d, err := Open(args[0])
	if err != nil {
		return err
	}
	var n atomic.Int32
	d.dir.Fault = func(op, path string) error {
		if int(n.Add(1)) == step {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	if err := commit(d, i, func() { fmt.Println("recorded") }); err != nil {
		return err
	}
	return d.Close()
}

// Killed before any of the changes that a commit makes, a process leaves a
// store in which nothing is wrong, nothing that was complete is lost, nothing
// must be unlocked or removed by hand, and the work can be done again.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	killed := 0
	for step := 1; ; step++ {
		cmd := child(t, "commit", root, step, step)
		var out bytes.Buffer
		cmd.Stdout = &out
		err := cmd.Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
			killed++
		} else if err != nil {
			t.Fatal(err)
		}
		d := openDir(t, root)
		checkCommitted(t, d, step, out.Len() > 0)
		if halves, err := filepath.Glob(filepath.Join(d.checkpointPath(testRecord(step).Action), "*", "*")); err == nil && len(halves) == 1 {
			t.Errorf("killed at step %d, half a checkpoint is left", step)
		}
		if err := commit(d, step, func() {}); err != nil {
			t.Fatalf("killed at step %d, the work cannot be done again: %v", step, err)
		}
		checkCommitted(t, d, step, true)
		d.Close()
		if killed < step {
			break
		}
	}
	d := openDir(t, root)
	for step := range killed {
		checkCommitted(t, d, step+1, true)
	}
	d.Close()
	checkSound(t, root)
	if killed < 30 {
		t.Errorf("a commit has %d steps only: does the fault hook see them all?", killed)
	}
	t.Logf("killed at %d steps", killed)
}

// manyChild commits one action after another and says which are recorded.
func manyChild(args []string) error {
	i, _ := strconv.Atoi(args[1])
	d, err := Open(args[0])
	if err != nil {
		return err
	}
	for ; ; i++ {
		if err := commit(d, i, func() { fmt.Println(i) }); err != nil {
			return err
		}
		if i%3 == 0 {
			d.Close() // writes the stat cache
		}
	}
}

// Killed at any moment, a process leaves the store sound, and every action of
// which it said that it is recorded, is.
func TestKilledAnytime(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	r := rand.New(rand.NewPCG(3, 4))
	next := 0
	for range rounds {
		cmd := child(t, "many", root, next)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(r.IntN(100))*time.Millisecond, func() { cmd.Process.Kill() })
		last := next - 1
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if last, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
		}
		cmd.Wait()
		d := openDir(t, root)
		for i := next; i <= last; i++ {
			checkCommitted(t, d, i, true)
		}
		checkCommitted(t, d, last+1, false)
		d.Close()
		next = last + 1
	}
	d := openDir(t, root)
	for i := range next {
		checkCommitted(t, d, i, true)
	}
	d.Close()
	checkSound(t, root)
	t.Logf("%d actions in %d processes", next, rounds)
}

// A change that the system refuses is an error, which says why. It leaves the
// store sound, and when the system is well again the work can be done.
func TestRefusedAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name    string
		refused func(n, step int32) bool
	}{
		{"once", func(n, step int32) bool { return n == step }},
		{"from then on", func(n, step int32) bool { return n >= step }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "store")
			failed := 0
			for step := int32(1); ; step++ {
				d := openDir(t, root)
				var n atomic.Int32
				d.dir.Fault = func(op, path string) error {
					if kind.refused(n.Add(1), step) {
						return syscall.ENOSPC
					}
					return nil
				}
				recorded := false
				err := commit(d, int(step), func() { recorded = true })
				if err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("step %d: the error does not say why: %v", step, err)
				}
				if err != nil {
					failed++
				}
				last := n.Load() < step
				d.dir.Fault = nil
				checkCommitted(t, d, int(step), recorded)
				if err := commit(d, int(step), func() {}); err != nil {
					t.Fatalf("step %d: cannot be done again: %v", step, err)
				}
				checkCommitted(t, d, int(step), true)
				d.Close()
				if last {
					break
				}
			}
			checkSound(t, root)
			if failed < 20 {
				t.Errorf("only %d steps failed", failed)
			}
		})
	}
}
