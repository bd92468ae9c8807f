package site

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
	"eyrie/pipeline/stepname"
)

// Executor is an executor block: what performs some of the steps.
type Executor struct {
	Kind string // [Local], [Slurm], [Command] or [Kubernetes]
	Name string

	Steps []string           // names of the steps that it takes, or patterns, as package stepname has them; none for any
	Takes map[string]float64 // what a step must ask for at least that it takes; none for nothing

	Jobs   int           // that may run or wait there at once; 0 for any number
	Time   time.Duration // that a job may take where the step has no timeout; 0 for what the scheduler says
	Setup  []string      // lines of shell before a job's program
	Runner string        // the program that nodes start; "" for a copy of this one

	Partition, Account, QOS, Constraint, GRES string   // of Slurm
	Extra                                     []string // options of sbatch

	Submit, Status, Cancel []string // of Command

	Pods // of Kubernetes

	Cache   bool   // store = "cache": the nodes do not see this machine's store
	Scratch string // with it: the directory, on the nodes, for what a job has there; "" for a temporary one

	named []func(id string) bool // Steps
	pos   func(attribute string) string
}

// Pos returns where an attribute of the block is, or else the block, as "site.hcl:4".
func (e *Executor) Pos(attribute string) string { return e.pos(attribute) }

// Grants are the resources that schedulers know, and can give to a job.
var Grants = []string{"cpus", "gpus", "memory", "nodes"}

// The kinds of executors.
const (
	Local   = "local"   // this machine
	Slurm   = "slurm"   // jobs of Slurm
	Command = "command" // jobs of any scheduler, by three commands

	Kubernetes = "kubernetes" // jobs of Kubernetes
)

// Take reports whether the executor is for a step: one of its names, and which asks for
// as much as it must.
func (e *Executor) Take(s *pipeline.Step) bool {
	if len(e.named) > 0 && !slices.ContainsFunc(e.named, func(is func(string) bool) bool { return is(s.ID) }) {
		return false
	}
	for name, least := range e.Takes {
		if s.Resources[name] < least {
			return false
		}
	}
	return true
}

func readExecutor(s *Site, b *block) {
	labels, ok := b.labels(Slurm, "gpu")
	if !ok {
		return
	}
	e := Executor{Kind: labels[0], Name: labels[1], pos: b.pos}
	e.Steps, e.Takes = b.list("steps"), b.amounts("takes")
	for _, name := range e.Steps {
		e.named = append(e.named, stepname.Match(name))
	}
	switch e.Kind {
	case Local:
	case Slurm:
		e.Partition, e.Account, e.QOS, e.Constraint, e.GRES = b.text("partition"), b.text("account"), b.text("qos"), b.text("constraint"), b.text("gres")
		e.Extra = b.options("extra")
		b.remote(&e)
		b.where(s, &e)
	case Command:
		e.Submit, e.Status, e.Cancel = b.command("submit", "bsub", "script", "element"), b.command("status", "bjobs"), b.command("cancel", "bkill", "ids")
		b.remote(&e)
		b.where(s, &e)
	case Kubernetes:
		b.pods(s, &e)
	default:
		kinds := []string{Command, Kubernetes, Local, Slurm}
		b.report(b.LabelRanges[0], "Unknown executor", "An executor is one of %s, and no %q.%s", word.Quote(kinds), e.Kind, word.DidYouMean(e.Kind, kinds))
		return
	}
	b.grantable(&e)
	b.end()
	if !plainName(e.Name) {
		b.report(b.LabelRanges[1], "Not a name", "An executor has a plain name, of letters, digits, - and _, such as %q.", "gpu")
	}
	for _, other := range s.Executors {
		if other.Name == e.Name {
			b.report(b.LabelRanges[1], "Name written twice", "There is another executor %q at %s.", e.Name, other.Pos(""))
		}
	}
	s.Executors = append(s.Executors, e)
}

// grantable reports resources in takes that no scheduler can give to a job: the executor would take
// steps for them, and all of these would fail.
func (b *block) grantable(e *Executor) {
	if e.Kind == Local {
		return
	}
	for _, name := range word.Keys(e.Takes) {
		if !slices.Contains(Grants, name) {
			b.report(b.Body.Attributes["takes"].Expr.Range(), "Wrong value", "takes: executor %q gives its jobs %s, and no %q.%s", b.Labels[0], word.Quote(Grants), name, word.DidYouMean(name, Grants))
		}
	}
}

// remote reads what all executors on other machines have.
func (b *block) remote(e *Executor) {
	e.Setup, e.Runner = b.list("setup"), b.text("runner")
	e.Jobs = b.count("max_jobs")
	e.Time = b.duration("time")
}

func plainName(s string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && strings.Trim(s, plain) == ""
}

// command is a command that must be written, as a list of its words, in which must be what some
// names stand for.
func (b *block) command(name, such string, needs ...string) []string {
	words := b.list(name)
	a := b.Body.Attributes[name]
	switch {
	case a == nil:
		b.report(b.DefRange(), "Missing attribute", "%s %q needs %s, a command as a list of its words, such as %s = [%q, …].", b.Type, b.Labels[0], name, name, such)
		return nil
	case len(words) == 0 && !b.diags.HasErrors():
		b.report(a.Expr.Range(), "Wrong value", "%s is empty; write a command, such as [%q, …].", name, such)
	}
	for _, need := range needs {
		if in := "{" + need + "}"; len(words) > 0 && !strings.Contains(strings.Join(words, " "), in) {
			b.report(a.Expr.Range(), "Wrong value", "%s: write %s in one of its words, which stands for %s.", name, in, placeholders[need])
		}
	}
	return words
}

// taken are options of sbatch's that an executor needs for itself, with what to write in their
// place. With another one of these a job would do something else, or be in the queue twice because
// it is not found there.
var taken = map[string]string{
	"array": "", "a": "", "job-name": "", "J": "", "output": "", "o": "", "error": "", "e": "", "open-mode": "", "signal": "",
	"wrap": "; a line of shell before each job belongs in setup",
	"wait": "", "W": "", "test-only": "",
	"clusters": "; run where SLURM_CONF is that cluster's", "M": "; run where SLURM_CONF is that cluster's",
}

// options are those of sbatch's that a site adds, none of which is one of taken.
func (b *block) options(name string) []string {
	all := b.list(name)
	for _, option := range all {
		word, _, _ := strings.Cut(strings.TrimPrefix(option, "--"), "=")
		if !strings.HasPrefix(option, "--") && len(option) > 1 && option[0] == '-' {
			word = option[1:2]
		}
		if instead, ok := taken[word]; ok && strings.HasPrefix(option, "-") {
			b.report(b.Body.Attributes[name].Expr.Range(), "Wrong value", "%s: %s is for the executor to say; leave it out%s.", name, option, instead)
		}
	}
	return all
}

// placeholders are what a command of a scheduler must be told, by the names that stand for it.
var placeholders = map[string]string{
	"script":  "the file that a job runs, as in sh {script} {element}",
	"element": "the number that the script is run with",
	"ids":     "the names of the jobs",
}

// count is a whole number from 1; 0 where it is not written.
func (b *block) count(name string) int {
	v, a := b.value(name, cty.Number)
	if a == nil {
		return 0
	}
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != 0 || n < 1 || n > 1<<30 {
		b.report(a.Expr.Range(), "Wrong value", "%s: want a whole number from 1.", name)
		return 0
	}
	return int(n)
}

// duration is a time such as "20 h"; 0 where it is not written. It has a unit, because a number
// alone is minutes to Slurm, and seconds in recipes.
func (b *block) duration(name string) time.Duration {
	v, a := b.value(name, cty.String)
	if a == nil {
		return 0
	}
	text := strings.TrimSpace(v.AsString())
	n, err := quantity(text, "s")
	if err != nil || n <= 0 || n > 1e9 || strings.ContainsAny(text[len(text)-1:], "0123456789.") {
		b.report(a.Expr.Range(), "Wrong value", "%s: want a time such as \"20 h\" or \"90 min\", not %q.", name, text)
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// quantity reads an amount with its unit, as recipes write it.
func quantity(text, unit string) (float64, error) {
	v, err := value.ParseQuantity(text, unit)
	if err != nil {
		return 0, err
	}
	n, _ := v.AsBigFloat().Float64()
	return n, nil
}

// amounts is an object of numbers, such as { gpus = 1, memory = "64 GiB" }.
func (b *block) amounts(name string) map[string]float64 {
	b.asked[name] = true
	a := b.Body.Attributes[name]
	if a == nil {
		return nil
	}
	v, diags := a.Expr.Value(scope)
	b.diags = append(b.diags, diags...)
	if diags.HasErrors() {
		return nil
	}
	wrong := func() map[string]float64 {
		b.report(a.Expr.Range(), "Wrong type", "%s: want what a step asks for at least, such as { gpus = 1 } or { memory = \"64 GiB\" }.", name)
		return nil
	}
	if v.IsNull() || !v.Type().IsObjectType() {
		return wrong()
	}
	all := map[string]float64{}
	fields := v.AsValueMap()
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		n, ok := amount(field, fields[field])
		if !ok {
			return wrong()
		}
		all[field] = n
	}
	return all
}

// amount returns a number, or a text with a unit where memory is meant.
func amount(name string, v cty.Value) (float64, bool) {
	if v.IsNull() {
		return 0, false
	}
	if v.Type() == cty.Number {
		n, _ := v.AsBigFloat().Float64()
		return n, n >= 0
	}
	if v.Type() != cty.String || name != "memory" {
		return 0, false
	}
	n, err := quantity(v.AsString(), "bytes")
	return n, err == nil && n >= 0
}
