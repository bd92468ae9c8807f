package exec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"eyrie/pipeline"
	"eyrie/pipeline/process"
)

// workspace is where a program runs.
type workspace struct {
	dir, home, temp string
	checkpoint      string // "" for none
	contained       bool   // it is for a container, where links of this machine lead nowhere
	laid            []laidFile
	links           []link
}

// link is a large input, by its name, that is not a file of its own.
type link struct{ name, from string }

// laidFile is an input as it was laid.
type laidFile struct {
	name string // for people
	path string
	info fs.FileInfo // of the file that is read
}

// linked is the size of files from which on they are links to what they are copies of, in
// bytes. Smaller ones are files of their own, because programs look at where a script
// really is: Python imports from there.
const linked = 64 << 20

// newWorkspace makes the directories and lays out the inputs.
func newWorkspace(task *pipeline.Task, c Config) (*workspace, error) {
	w := &workspace{dir: task.Path("dir"), home: task.Path("home"), temp: task.Path("tmp"), contained: c.Container != ""}
	for _, dir := range []string{w.dir, w.home, w.temp} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
	}
	if c.Checkpoint {
		w.checkpoint = task.Checkpoint()
	}
	for _, name := range slices.Sorted(maps.Keys(c.Inputs)) {
		if err := w.lay(name, c.Inputs[name].Path); err != nil {
			return nil, fmt.Errorf("laying out the input %s: %w", name, err)
		}
	}
	if len(c.Command) > 0 {
		return w, w.makeExecutable(c)
	}
	return w, nil
}

// lay makes an input of what is at the path from, a file or a directory. Directories are
// real, and can be written to: Python leaves its cache beside modules.
func (w *workspace) lay(name, from string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	to := filepath.Join(w.dir, filepath.FromSlash(name))
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		if d.IsDir() {
			return os.MkdirAll(target, 0o777)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		return w.layFile(filepath.Join(name, below), path, target)
	})
}

func (w *workspace) layFile(name, from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.Size() > linked {
		err = w.link(name, from, to)
	} else {
		err = copyFile(from, to, info.Mode()&0o111)
	}
	if err != nil {
		return err
	}
	if info, err = os.Stat(to); err == nil {
		w.laid = append(w.laid, laidFile{name, to, info})
	}
	return err
}

// link makes a link to a large input, or, where the program runs in a container, a place for
// it to be mounted.
func (w *workspace) link(name, from, to string) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	w.links = append(w.links, link{name, from})
	if w.contained {
		return os.WriteFile(to, nil, 0o444)
	}
	return os.Symlink(from, to)
}

// copyFile copies a file, sharing its blocks where the file system can. The copy can be
// read, and executed as x says. Its time is long ago, so that any change shows.
func copyFile(from, to string, x fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444|x)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), os.Chtimes(to, long, long))
}

// long is when inputs were changed last, whenever they were laid: what a program makes of a
// file's time, such as an archive, does not differ from run to run.
var long = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// makeExecutable lets the system run a program that is an input.
func (w *workspace) makeExecutable(c Config) error {
	path, _, ok := c.inputOf(string(c.Command[0]))
	if !ok {
		return nil
	}
	at := filepath.Join(w.dir, path)
	info, err := os.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return pipeline.Badf("command[0]", "there is no %s among the inputs", path)
	} else if err != nil || !info.Mode().IsRegular() { // a link: what it leads to is not ours to change
		return err
	}
	return os.Chmod(at, 0o555)
}

// unchanged fails where the program has changed an input.
func (w *workspace) unchanged() error {
	for _, f := range w.laid {
		now, err := os.Stat(f.path)
		if err != nil || !os.SameFile(now, f.info) || now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) {
			return fmt.Errorf("the program has changed or removed its input %s: let it write a file of another name", f.name)
		}
	}
	return nil
}

// threads are variables that say how many threads libraries may use.
var threads = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"}

// variables returns the program's environment, other than PATH and what tells of the
// machine's paths.
func (c Config) variables(task *pipeline.Task) []string {
	env := []string{"LANG=C.UTF-8", "EYRIE_PROGRESS_FD=3"}
	for _, name := range threads {
		env = append(env, name+"="+strconv.Itoa(task.CPUs()))
	}
	env = append(env, process.Visible(task.GPUs(), os.Getenv)...)
	for _, more := range []map[string]string{c.Env, c.Secrets} {
		for _, name := range slices.Sorted(maps.Keys(more)) {
			env = append(env, name+"="+more[name])
		}
	}
	return env
}

// program returns the program to run in the workspace.
func (c Config) program(task *pipeline.Task, w *workspace) (*process.Program, error) {
	if c.Container != "" {
		return c.contained(task, w)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "TMPDIR=" + w.temp}
	if w.checkpoint != "" {
		env = append(env, "EYRIE_CHECKPOINT="+w.checkpoint)
	}
	p := &process.Program{Dir: w.dir, Env: append(env, c.variables(task)...)}
	if c.Shell != "" {
		return p, c.shell(p)
	}
	path, err := c.find(w.dir)
	if err != nil {
		return nil, pipeline.Badf("command[0]", "%w", err)
	}
	p.Path = path
	for _, a := range c.Command {
		p.Args = append(p.Args, string(a))
	}
	return p, nil
}

// failing makes a shell fail where a command of a pipeline does. Older ones do not know it,
// and set is a special command: in one that is no subshell, a mistake would end them.
const failing = "(set -o pipefail) 2>/dev/null && set -o pipefail\n"

// shell makes p the shell that runs the script.
func (c Config) shell(p *process.Program) error {
	sh, err := osexec.LookPath("sh")
	if err != nil {
		return pipeline.Badf("shell", "%w", errShell)
	}
	p.Path, p.Args = sh, []string{"sh", "-euc", failing + c.Shell, "sh"}
	return nil
}
