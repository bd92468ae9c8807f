package exec

import (
	"crypto/rand"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"eyrie/pipeline"
	"eyrie/pipeline/process"
)

// image is an image with its digest: what a tag names changes.
var image = regexp.MustCompile(`^[a-z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}$`)

func checkImage(name string) error {
	if !image.MatchString(name) {
		return fmt.Errorf("%.200q is no image with its digest: write name@sha256:… (docker images --digests shows it); what a tag names changes", name)
	}
	return nil
}

// engines run containers, in the order in which they are looked for.
var engines = []string{"docker", "podman", "apptainer"}

// findEngine returns the path of the first engine that there is.
func findEngine() (string, error) {
	for _, name := range engines {
		if path, err := osexec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", fmt.Errorf("there is none of %s in PATH to run it: install one, or remove container to use this machine's programs", strings.Join(engines, ", "))
}

// Where a container has the program's directories.
const insideWork, insideHome, insideTemp, insideCheckpoint = "/work", "/eyrie/home", "/eyrie/tmp", "/eyrie/checkpoint"

// mount is a place of this machine that a container has.
type mount struct {
	from, to string
	readonly bool
}

// mounts are all that a container has of this machine.
func (w *workspace) mounts() []mount {
	all := []mount{{w.dir, insideWork, false}, {w.home, insideHome, false}, {w.temp, insideTemp, false}}
	if w.checkpoint != "" {
		all = append(all, mount{w.checkpoint, insideCheckpoint, false})
	}
	for _, l := range w.links {
		all = append(all, mount{l.from, insideWork + "/" + filepath.ToSlash(l.name), true})
	}
	return all
}

// container is a command's container in the making.
type container struct {
	Config
	task   *pipeline.Task
	w      *workspace
	engine string   // its path
	kind   string   // "docker", "podman" or "apptainer"
	name   string   // of the container
	vars   []string // NAME=value, for the program
}

// contained returns the program that runs the command in a container, which has no network
// and sees nothing of this machine but the workspace.
func (c Config) contained(task *pipeline.Task, w *workspace) (*process.Program, error) {
	engine, err := findEngine()
	if err != nil {
		return nil, pipeline.Badf("container", "%w", err)
	}
	k := &container{Config: c, task: task, w: w, engine: engine, kind: filepath.Base(engine), name: containerName()}
	k.vars = append(c.variables(task), "HOME="+insideHome, "TMPDIR="+insideTemp)
	if w.checkpoint != "" {
		k.vars = append(k.vars, "EYRIE_CHECKPOINT="+insideCheckpoint)
	}
	if k.kind == "apptainer" {
		return k.apptainer(), nil
	}
	return k.docker(), nil
}

func containerName() string {
	var b [8]byte
	rand.Read(b[:])
	return "eyrie-" + hex.EncodeToString(b[:])
}

// inside is the command as the container runs it.
func (k *container) inside() (command []string) {
	if k.Shell != "" {
		return []string{"sh", "-euc", failing + k.Shell, "sh"}
	}
	for _, a := range k.Command {
		command = append(command, string(a))
	}
	if path, _, ok := k.inputOf(command[0]); ok {
		command[0] = insideWork + "/" + path
	}
	return command
}

// gpus returns the names of the GPUs that were granted.
func (k *container) gpus() []string {
	for _, v := range process.Visible(k.task.GPUs(), os.Getenv) {
		_, names, _ := strings.Cut(v, "=")
		return strings.Split(names, ",")
	}
	return nil
}

// docker returns the command of docker or podman.
func (k *container) docker() *process.Program {
	args := []string{k.kind, "run", "--rm", "--init", "--name", k.name, "--network", "none", "--workdir", insideWork}
	if k.kind == "podman" && os.Getuid() != 0 {
		args = append(args, "--userns", "keep-id")
	} else {
		args = append(args, "--user", strconv.Itoa(os.Getuid())+":"+strconv.Itoa(os.Getgid()))
	}
	for _, m := range k.w.mounts() {
		fields := []string{"type=bind", "src=" + m.from, "dst=" + m.to}
		if m.readonly {
			fields = append(fields, "readonly")
		}
		args = append(args, "--mount", inCSV(fields))
	}
	if cpus := k.task.CPUSet(); len(cpus) > 0 {
		args = append(args, "--cpuset-cpus", numbers(cpus))
	}
	switch gpus := k.gpus(); {
	case len(gpus) > 0 && k.kind == "docker":
		args = append(args, "--gpus", `"device=`+strings.Join(gpus, ",")+`"`)
	case len(gpus) > 0:
		for _, name := range gpus {
			args = append(args, "--device", "nvidia.com/gpu="+name)
		}
	}
	names, env := k.environment()
	args = append(append(append(args, names...), k.Container), k.inside()...)
	return &process.Program{Path: k.engine, Args: args, Dir: k.w.dir, Env: env, Finally: []string{k.engine, "rm", "--force", k.name}}
}

// inCSV writes a line of CSV, as which engines read a mount: there may be commas in a path.
func inCSV(fields []string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(fields) // a builder takes all
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// environment returns the options that hand over the program's environment, and that of the
// engine. Variables are handed over by their names, so that no value is in a list of
// processes, but for those that would change the engine.
func (k *container) environment() (options, env []string) {
	env = os.Environ()
	for _, v := range k.vars {
		switch name, _, _ := strings.Cut(v, "="); {
		case name == "EYRIE_PROGRESS_FD" || name == "CUDA_VISIBLE_DEVICES": // no descriptor gets there, and only those GPUs do
		case engineReads(name):
			options = append(options, "--env", v)
		default:
			options, env = append(options, "--env", name), append(env, v)
		}
	}
	return append(options, "--env", process.Cookie), env
}

// engineReads reports whether an engine may read a variable itself.
func engineReads(name string) bool {
	own := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return slices.Contains([]string{"PATH", "HOME", "TMPDIR"}, name) ||
		slices.ContainsFunc([]string{"DOCKER", "PODMAN", "CONTAINER", "APPTAINER", "SINGULARITY", "XDG_", "LD_"}, own)
}

// apptainer returns the command of apptainer, which hands on its descriptors, and variables
// by a prefix.
func (k *container) apptainer() *process.Program {
	args := []string{k.kind, "exec", "--containall", "--cleanenv", "--no-mount", "home,tmp", "--net", "--network", "none", "--pwd", insideWork}
	for _, m := range k.w.mounts() {
		text := m.from + ":" + m.to
		if m.readonly {
			text += ":ro"
		}
		args = append(args, "--bind", text)
	}
	if len(k.task.GPUs()) > 0 {
		args = append(args, "--nv")
	}
	env := os.Environ()
	for _, v := range k.vars {
		env = append(env, "APPTAINERENV_"+v)
	}
	return &process.Program{Path: k.engine, Args: append(append(args, "docker://"+k.Container), k.inside()...), Dir: k.w.dir, Env: env}
}

// numbers writes numbers with commas between them.
func numbers(all []int) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}
