package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"eyrie/pipeline"
)

// header returns what the run's journal begins with. What git has to say comes from a
// channel, as it is asked while the plan is made.
func (r *runner) header(plan *pipeline.Plan, git <-chan *pipeline.Git) *pipeline.Header {
	v := buildVersion()
	host, _ := os.Hostname() // without it the journal knows less
	return &pipeline.Header{
		Command: discreet(os.Args, plan.Recipe.Variables), Targets: r.plan.Targets, Store: r.storeDir(r.recipe),
		Reads: r.reads.named(plan.Recipe, r.varFiles), Runner: strings.TrimSpace(v.Version + " " + v.Revision), Go: v.Go, Platform: v.Platform,
		Host: host, CPUs: runtime.NumCPU(), Git: <-git,
	}
}

// discreet returns a command line without the values of sensitive variables.
func discreet(args []string, variables []pipeline.Variable) []string {
	sensitive := make(map[string]bool)
	for _, v := range variables {
		sensitive[v.Name] = v.Sensitive
	}
	all := make([]string, len(args))
	for i, arg := range args {
		flag, given, ok := "", arg, i > 0 && args[i-1] == "--var"
		if rest, is := strings.CutPrefix(arg, "--var="); is {
			flag, given, ok = "--var=", rest, true
		}
		if name, _, is := strings.Cut(given, "="); ok && is && sensitive[name] {
			arg = flag + name + "=(sensitive)"
		}
		all[i] = arg
	}
	return all
}

// gitOf asks git where the directory stands, and sends the answer: nil where there is no
// git, no repository, or no answer in time.
func gitOf(ctx context.Context, dir, store string) <-chan *pipeline.Git {
	answer := make(chan *pipeline.Git, 1)
	go func() { answer <- askGit(ctx, dir, store) }()
	return answer
}

// gitTimeout is how long git may think: a repository of 100,000 files takes a third of it.
const gitTimeout = time.Second

func askGit(ctx context.Context, dir, store string) *pipeline.Git {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	args := []string{"-C", dir, "status", "--porcelain=v2", "--branch", "--", "."}
	if rel, err := filepath.Rel(dir, store); err == nil && filepath.IsLocal(rel) && rel != "." {
		args = append(args, ":(exclude,literal)"+rel)
	}
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0") // a reader must not be in a committer's way
	cmd.WaitDelay = gitTimeout
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	return parseGit(string(out))
}

// parseGit reads what git status --porcelain=v2 --branch prints: lines that begin with #
// are about the branch, others about files.
func parseGit(out string) *pipeline.Git {
	var g pipeline.Git
	for line := range strings.Lines(out) {
		if commit, ok := strings.CutPrefix(line, "# branch.oid "); ok {
			g.Commit = strings.TrimSpace(commit)
		}
		g.Modified = g.Modified || !strings.HasPrefix(line, "#")
	}
	if g.Commit == "" || g.Commit == "(initial)" {
		return nil
	}
	return &g
}
