package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"eyrie/artifacts"
)

// shareChild does actions first … last-1 as a worker of a run does: it looks
// each up, and does it under its lock if it is not there. A line in log is an
// action that this process did.
func shareChild(args []string) error {
	root, log := args[0], args[1]
	seed, _ := strconv.Atoi(args[2])
	count, _ := strconv.Atoi(args[3])
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	d, err := Open(root)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	order := r.Perm(count)
	if seed%2 == 0 { // half of them meet at the same action every time
		for i := range order {
			order[i] = i
		}
	}
	for _, i := range order {
		if err := share(d, i, f, r); err != nil {
			return err
		}
	}
	return d.Close()
}

func share(d *Store, i int, log *os.File, r *rand.Rand) error {
	id := testRecord(i).Action
	if _, err := d.Lookup(context.Background(), id); err == nil {
		return nil
	}
	unlock, err := d.Lock(context.Background(), id, nil)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := d.Lookup(context.Background(), id); err == nil {
		return nil
	}
	work, err := d.Temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	path := filepath.Join(work, "out", "file")
	os.MkdirAll(filepath.Dir(path), 0o777)
	if err := os.WriteFile(path, fmt.Append(nil, i/2), 0o666); err != nil { // two actions each with one result
		return err
	}
	time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
	f, err := d.Import(context.Background(), filepath.Dir(path))
	if err != nil {
		return err
	}
	if _, err := d.Fetch(context.Background(), f); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(log, i); err != nil {
		return err
	}
	return d.Record(context.Background(), testRecord(i, f))
}

// Many processes that do the same actions on one store at the same time do each
// of them once, and all succeed.
func TestProcessesShare(t *testing.T) {
	t.Parallel()
	root, log := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "log")
	const processes, actions = 6, 40
	var wg sync.WaitGroup
	for p := range processes {
		cmd := child(t, "share", root, log, p, actions)
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]int{}
	for line := range strings.Lines(string(b)) {
		done[line]++
	}
	for i := range actions {
		if n := done[fmt.Sprintln(i)]; n != 1 {
			t.Errorf("action %d was done %d times", i, n)
		}
	}
	checkShared(t, root, actions)
	checkSound(t, root)
}

func checkShared(t *testing.T, root string, actions int) {
	t.Helper()
	d := openDir(t, root)
	defer d.Close()
	for i := range actions {
		r, err := d.Lookup(t.Context(), testRecord(i).Action)
		if err != nil {
			t.Fatal(err)
		}
		f, err := d.Fetch(t.Context(), r.Objects[0])
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(f.Join("file")); err != nil || string(b) != fmt.Sprint(i/2) {
			t.Errorf("action %d is %q, %v", i, b, err)
		}
	}
}

// Processes that are killed disturb neither those that go on nor the store.
func TestProcessesKilled(t *testing.T) {
	t.Parallel()
	root, log := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "log")
	const actions = 60
	survivor := child(t, "share", root, log, 0, actions)
	if err := survivor.Start(); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for p := range 10 {
		cmd := child(t, "share", root, log, p, actions)
		cmd.Stderr = nil
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	if err := survivor.Wait(); err != nil {
		t.Fatal(err)
	}
	checkShared(t, root, actions)
	checkSound(t, root)
}

// holdChild takes the lock of an action and keeps it until it is killed.
func holdChild(args []string) error {
	d, err := Open(args[0])
	if err != nil {
		return err
	}
	if _, err := d.Lock(context.Background(), artifacts.ActionID{}, nil); err != nil {
		return err
	}
	fmt.Println("held")
	for {
		time.Sleep(time.Hour) // the runtime ends a process in which nothing can go on
	}
}

// A process that waits for another one learns which, and need not wait longer than
// that process lives. Its directories in tmp go with it, and not before.
func TestLockDiesWithItsProcess(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	cmd := child(t, "hold", root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatal(line, err)
	}
	d := openDir(t, root)
	defer d.Close()
	if _, err := d.dir.Begin(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(d.dir.Path("tmp")); len(left) != 4 {
		t.Errorf("of two living processes there is in tmp: %v", left)
	}
	told := 0
	unlock, err := d.Lock(t.Context(), artifacts.ActionID{}, func(holder string) {
		told++
		if want := fmt.Sprintf("pid %d on ", cmd.Process.Pid); !strings.Contains(holder, want) {
			t.Errorf("the holder is %q, want %q", holder, want)
		}
		cmd.Process.Kill()
		cmd.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	if told != 1 {
		t.Errorf("the holder was told %d times", told)
	}
	unlock()
	d.Close()
	checkSound(t, root)
}
