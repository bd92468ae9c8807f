package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"eyrie/pipeline/apart"
)

// prove returns the job that shows whether the nodes can perform jobs at all: that they see the
// store and can run the program. It returns "" where one has shown it before.
func (x *Executor) prove(ctx context.Context) (id string, err error) {
	program, err := x.program()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(x.proof(program)); err == nil {
		return "", nil
	}
	x.mu.Lock()
	before := x.probe
	x.mu.Unlock()
	if before != nil {
		if _, ended := x.probed(before); ended {
			return "", nil // if it failed, so will the others, and say why
		}
		return before.ids[0], nil
	}
	b, err := x.newBatch(Ask{CPUs: 1, Time: 5 * time.Minute}, nil)
	if err != nil {
		return "", err
	}
	defer b.Locked.Close()
	if err = x.send(ctx, b); err == nil {
		_, err = x.offer(ctx, b)
	}
	if err != nil {
		x.remove(b)
		return "", err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.probe = b
	return b.ids[0], nil
}

// proof is the file that says that a node has run a program.
func (x *Executor) proof(program string) string {
	sum := sha256.Sum256([]byte(program))
	return filepath.Join(x.jobs(), "proof-"+x.Name+"-"+hex.EncodeToString(sum[:6]))
}

// proven notes that nodes can perform jobs. The job that tries a node stays where it is: others
// in the queue may depend on it, and it has not started yet if it was a job of another batch that
// has shown it.
func (x *Executor) proven() {
	x.mu.Lock()
	first := x.probe != nil && !x.proved
	x.proved = x.proved || first
	x.mu.Unlock()
	if !first {
		return
	}
	if program, err := x.program(); err == nil {
		_ = os.WriteFile(x.proof(program), nil, 0o666) // without it the next run asks once more
	}
}

// probed returns what a job that tries a node has shown, if it has come to its end. One at a time
// asks, as with every element.
func (x *Executor) probed(b *batch) (failed error, ended bool) {
	x.probing.Lock()
	defer x.probing.Unlock()
	_ = x.receive(b.Dir, 0, true)
	events := tail{path: filepath.Join(b.Dir, "0.0.events")}
	for _, line := range events.lines(true) {
		var m apart.Message
		switch {
		case json.Unmarshal(line, &m) != nil:
		case m.Result != nil:
			return nil, true
		case m.Failure != nil:
			return m.Failure.Err(), true
		}
	}
	return nil, false
}

// end cancels a job that tries a node for which nobody waits any more.
func (x *Executor) end(probe *batch) {
	if _, ended := x.probed(probe); !ended {
		ctx, stop := context.WithTimeout(context.Background(), command)
		defer stop()
		if err := x.Scheduler.Cancel(ctx, probe.ids); err != nil {
			x.tell("job %s, which tries a node, could not be cancelled: %v", probe.ids[0], err)
		}
	}
	x.remove(probe)
}

// disproved returns why the nodes can perform no jobs, if a job has shown that.
func (x *Executor) disproved(ctx context.Context) error {
	x.proving.Lock() // hundreds may ask at once
	defer x.proving.Unlock()
	x.mu.Lock()
	b := x.probe
	x.mu.Unlock()
	if x.disproof != nil || b == nil {
		return x.disproof
	}
	x.disproof = x.disprovedBy(ctx, b)
	return x.disproof
}

func (x *Executor) disprovedBy(ctx context.Context, b *batch) error {
	err, ended := x.probed(b)
	if err != nil {
		return fmt.Errorf("no node can perform jobs: %w", err)
	} else if ended {
		return nil
	}
	states, err := x.Scheduler.Status(ctx, b.ids)
	last := states[b.ids[0]]
	if err != nil || last.State == Pending || last.State == Running {
		return nil
	}
	ending := x.Scheduler.Explain(ctx, b.ids[0], last)
	if ending.Err == nil {
		return nil
	}
	return fmt.Errorf("no node can perform jobs: the one that tried them: %w; %s%s",
		ending.Err, x.doubt(), lastLines(filepath.Join(b.Dir, "0.log")))
}

// copySelf copies this program to a directory, under a name of its content, unless it is there.
func copySelf(dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		self = "/proc/self/exe" // also where the file has been replaced
	}
	f, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "runner-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if now := time.Now(); os.Chtimes(path, now, now) == nil { // it is there, and in use
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(dir, "tmp-")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	if _, err = f.Seek(0, io.SeekStart); err == nil {
		_, err = io.Copy(tmp, f)
	}
	if err == nil {
		err = tmp.Chmod(0o755)
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	return path, err
}
