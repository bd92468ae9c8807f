package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
)

// The test binary is also the program of the processes that the tests start and
// kill: $EYRIE_CHILD names what to do.
func TestMain(m *testing.M) {
	if name := os.Getenv("EYRIE_CHILD"); name != "" {
		if err := children[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var children = map[string]func(args []string) error{
	"commit": commitChild,
	"many":   manyChild,
	"share":  shareChild,
	"hold":   holdChild,
}

// child returns a command that does what children[name] does.
func child(t *testing.T, name string, args ...any) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	for _, a := range args {
		cmd.Args = append(cmd.Args, fmt.Sprint(a))
	}
	cmd.Env = append(os.Environ(), "EYRIE_CHILD="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

func actionPath(d *Store, id artifacts.ActionID) string { return d.dir.File(actionKey(id)) }

// commit is what a step does with the store, as action i: it keeps a
// checkpoint while it makes a file and a tree, stores and records them, uses the
// tree, and drops the checkpoint. done is called when the record is kept.
func commit(d *Store, i int, done func()) (err error) {
	unlock, err := d.Lock(context.Background(), testRecord(i).Action, nil)
	if err != nil {
		return err
	}
	defer unlock()
	checkpoint, err := d.Checkpoint(testRecord(i).Action)
	if err != nil {
		return err
	}
	for _, half := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(checkpoint, half), []byte(half), 0o666); err != nil {
			return err
		}
	}
	work, err := d.Temp()
	if err != nil {
		return err
	}
	defer d.Discard(work)
	for name, content := range committed(i) {
		path := filepath.Join(work, name)
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, []byte(content), 0o777); err != nil {
			return err
		}
	}
	made := d.Batch()
	defer made.Close()
	file, err := made.Import(context.Background(), filepath.Join(work, "file"))
	if err != nil {
		return err
	}
	tree, err := made.Import(context.Background(), filepath.Join(work, "tree"))
	if err != nil {
		return err
	}
	r := testRecord(i, file, tree)
	if err := made.Commit(context.Background(), r); err != nil {
		return err
	}
	done()
	if err := d.SetLast(r.Step, r.Action); err != nil {
		return err
	}
	if _, err := d.Fetch(context.Background(), tree); err != nil {
		return err
	}
	return d.DropCheckpoint(r.Action)
}

// committed is the content of what commit stores.
func committed(i int) map[string]string {
	return map[string]string{
		"file":        fmt.Sprint("file of ", i),
		"tree/a/own":  fmt.Sprint("in the tree of ", i),
		"tree/b":      "the same in every tree",
		"tree/c/d/e1": strings.Repeat("x", 100000+i),
	}
}

// checkCommitted fails the test if the store holds anything of action i that is
// wrong, or, if it must be there, nothing.
func checkCommitted(t *testing.T, d *Store, i int, must bool) {
	t.Helper()
	r, err := d.Lookup(t.Context(), testRecord(i).Action)
	if errors.Is(err, ErrNotFound) && !must {
		return
	} else if err != nil {
		t.Fatalf("action %d: %v", i, err)
	}
	tree, err := d.Fetch(t.Context(), r.Objects[1])
	if err != nil {
		t.Fatalf("action %d: %v", i, err)
	}
	file, err := d.Fetch(t.Context(), r.Objects[0])
	if err != nil {
		t.Fatalf("action %d: %v", i, err)
	}
	for name, want := range committed(i) {
		path := file.Path
		if in, ok := strings.CutPrefix(name, "tree/"); ok {
			path = tree.Join(in)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Fatalf("action %d: %s has %d bytes, want %d: %v", i, name, len(b), len(want), err)
		}
	}
}

// checkSound fails the test if anything is half done in a store that no process
// uses: an object that is not its digest's, a checkpoint that is partly
// removed, a lock that cannot be taken, a directory of a dead process.
func checkSound(t *testing.T, root string) {
	t.Helper()
	d := openDir(t, root)
	defer d.Close()
	err := filepath.WalkDir(d.dir.Path("objects"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if want := filepath.Base(filepath.Dir(path)) + filepath.Base(path); artifacts.Sum(b).String() != want {
			t.Errorf("object %s is %s", want, artifacts.Sum(b))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	locks, _ := os.ReadDir(d.dir.Path("locks"))
	for _, l := range locks {
		var id artifacts.ActionID
		if err := id.UnmarshalText([]byte(l.Name())); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		unlock, err := d.Lock(ctx, id, nil)
		cancel()
		if err != nil {
			t.Fatalf("lock %s: %v", l.Name(), err)
		}
		unlock()
	}
	if _, err := d.dir.Begin(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(d.dir.Path("tmp"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 { // its own session and lock
		t.Errorf("left in tmp: %v", left)
	}
}
