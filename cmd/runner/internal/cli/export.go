package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/export"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

// exportOptions are the flags of the command export.
type exportOptions struct {
	crate, license     string
	mlflow, experiment string
	noFiles            bool
}

func (a *app) exportCommand() *cobra.Command {
	var opt exportOptions
	cmd := &cobra.Command{
		Use:   "export RECIPE [RUN]",
		Short: "Hand a run to other programs: as an RO-Crate, or to MLflow",
		Long: `Hand a run, the last one if none is named, to other programs. Nothing is run.

--ro-crate writes it into a new directory as a Provenance Run Crate 0.5 (RO-Crate 1.1),
which archives such as Zenodo and WorkflowHub take: the recipe, the files among its
outputs, and what each step did, of what, when and with which version. Files that only
steps exchanged are named by their digest and not copied.

--mlflow puts it into an experiment of MLflow: at a tracking server, given by its URL,
or into a directory that "mlflow ui" shows. The run has the variables as parameters and
the recipe's outputs as metrics and artifacts; nested in it are the steps, and each
instance of one with for_each, with their attributes and the numbers of their outputs.
Tags called provenance.NAME say how each number came about. A run that is there already
is left as it is, so that a second export does no harm, and one that was interrupted is
completed. For a server that asks who one is: MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, as for MLflow itself.

What is sensitive is in neither. A step's numbers are those of its record in the store:
where that is gone, the step is exported without them.

` + runHelp,
		Example: `  runner export paper.hcl --ro-crate crate --license https://spdx.org/licenses/CC-BY-4.0
  runner export paper.hcl last~1 --mlflow http://127.0.0.1:5000
  runner export sweep.hcl --mlflow mlruns --experiment widths`,
		Args:              exactly("RECIPE", "[RUN]"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.export(cmd.Context(), args, opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.crate, "ro-crate", "", "write an RO-Crate into this new `directory`")
	f.StringVar(&opt.license, "license", "not stated: ask whoever made the run", "the crate's licence, as a `URL` or a sentence")
	f.StringVar(&opt.mlflow, "mlflow", "", "put the run into MLflow: the `URL` of a tracking server, or a directory")
	f.StringVar(&opt.experiment, "experiment", "", "the `name` of MLflow's experiment (default: the recipe's name)")
	f.BoolVar(&opt.noFiles, "no-files", false, "leave out the files among the outputs, for a server that does not take them")
	return cmd
}

func (a *app) export(ctx context.Context, args []string, opt exportOptions) error {
	if (opt.crate == "") == (opt.mlflow == "") {
		return invalidf("runner export: want one of --ro-crate DIRECTORY and --mlflow URL")
	}
	tracker, err := trackerOf(opt.mlflow, os.Getenv)
	if err != nil {
		return err
	}
	p, err := a.past(args[0])
	if err != nil {
		return err
	}
	defer p.Close()
	name := "last"
	if len(args) > 1 {
		name = args[1]
	}
	h, err := p.find(name)
	if err != nil {
		return err
	}
	if h.Status == history.Running {
		return &exitError{exitNo, errors.New("run " + h.ID + " has not ended: export it when it has")}
	}
	r := p.exported(ctx, h)
	if opt.noFiles {
		r.DropFiles()
	}
	fetch := func(ctx context.Context, f artifacts.File) (string, error) {
		f, err := p.Fetch(ctx, f)
		return f.Path, err
	}
	if opt.crate != "" {
		if err := export.Crate(ctx, opt.crate, r, opt.license, fetch); err != nil {
			return err
		}
		return a.exportedTo("crate", map[string]any{"run": h.ID, "directory": opt.crate}, "run %s is in %s", h.ID, opt.crate)
	}
	experiment := opt.experiment
	if experiment == "" {
		experiment = r.Recipe
	}
	sent, err := export.MLflow(ctx, tracker, experiment, r, fetch)
	if err != nil {
		return err
	}
	if sent.New == 0 {
		return a.exportedTo("mlflow", sent, "run %s is in experiment %q already, as %s", h.ID, experiment, sent.Run)
	}
	return a.exportedTo("mlflow", sent, "run %s is in experiment %q as %s, with %s below it", h.ID, experiment, sent.Run, view.Count(len(r.Steps), "step"))
}

// exportedTo says what was done.
func (a *app) exportedTo(event string, object any, format string, args ...any) error {
	if a.json {
		return a.print(event, object)
	}
	say(a.out, format, args...)
	return nil
}

// trackerOf returns where MLflow keeps runs: a server, or a directory.
func trackerOf(where string, getenv func(string) string) (export.Tracker, error) {
	if strings.HasPrefix(where, "file://") || !strings.Contains(where, "://") {
		return &export.Directory{Path: strings.TrimPrefix(where, "file://")}, nil
	}
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, invalidf("--mlflow %q: want http://HOST:PORT, https://HOST, or a directory", where)
	}
	s := &export.Server{User: getenv("MLFLOW_TRACKING_USERNAME"), Password: getenv("MLFLOW_TRACKING_PASSWORD"), Token: getenv("MLFLOW_TRACKING_TOKEN")}
	if u.User != nil { // which must not be in a message
		s.User = u.User.Username()
		s.Password, _ = u.User.Password()
		u.User = nil
	}
	s.URL = u.String()
	return s, nil
}

// exported returns what is told of a run, with what the store still has of its steps.
func (p *past) exported(ctx context.Context, h *history.Run) *export.Run {
	r := &export.Run{ID: h.ID, Recipe: h.Recipe, Status: h.Status, Started: h.Started, Ended: h.Ended, Variables: map[string]any{}}
	if h := h.Header; h != nil {
		r.Command, r.Runner, r.Host = h.Command, h.Runner, h.Host
		if h.Git != nil {
			r.Commit = h.Git.Commit
		}
		for _, v := range h.Variables {
			if value, ok := treeOf(v.Value); ok {
				r.Variables[v.Name] = value
			}
		}
	}
	for _, t := range h.Files {
		if t.Left() {
			r.Sources = nil // a recipe of which a part is missing is none
			break
		}
		r.Sources = append(r.Sources, export.Source{Name: t.Name, Text: []byte(t.Text)})
	}
	for _, o := range h.Outputs {
		if value, ok := treeOf(o.Value); ok {
			r.Outputs = append(r.Outputs, export.Value{Name: o.Name, Value: value, Kinds: pipeline.Kinds(o.Origins)})
		}
	}
	for _, step := range h.Steps {
		r.Steps = append(r.Steps, p.exportedStep(ctx, step))
	}
	return r
}

// treeOf decodes a value in JSON, with its files as such.
func treeOf(text json.RawMessage) (any, bool) {
	var v any
	if text == nil || json.Unmarshal(text, &v) != nil {
		return nil, false
	}
	return withFiles(v), true
}

func withFiles(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withFiles(v[i])
		}
	case map[string]any:
		if f, ok := artifacts.FileIn(v); ok {
			return f
		}
		for k := range v {
			v[k] = withFiles(v[k])
		}
	}
	return v
}

// exportedStep returns what is told of a step. What its journal does not have is in the
// record of its action, as long as that is there.
func (p *past) exportedStep(ctx context.Context, h *history.Step) export.Step {
	step := export.Step{ID: h.ID, Block: pipeline.BlockOf(h.ID), Stage: h.Stage, Status: h.Type, Error: h.Error, Action: h.Action, Started: h.Started, Elapsed: h.Elapsed}
	record, _ := p.Lookup(ctx, h.Action) // the record will do, also if its objects are gone
	if key, err := pipeline.ReadKey(record.Preimage); err == nil {
		step.Started, step.Elapsed, step.MadeBy = record.Started, record.Elapsed.Round(time.Microsecond), record.Run
		step.Stage, step.Version, step.Attributes = key.Stage, key.Version, key.Attributes
		step.Reads = withNames(artifacts.FilesIn(key.Attributes), h.Sources)
		if record.Adopted != nil {
			step.Adopted = adoptedText(record.Adopted)
		}
		if !key.Secret() {
			step.Output, step.Makes, step.Type = record.Output, filesOf(record), resultType(p.stages, record)
		}
	}
	return p.described(step)
}

// described adds what its stage says of itself now.
func (p *past) described(step export.Step) export.Step {
	for _, s := range p.stages {
		if s.Name == step.Stage {
			step.Doc = s.Doc
			if step.Version == 0 {
				step.Version = s.Version
			}
		}
	}
	return step
}

// withNames gives files that the recipe names the names that it has for them.
func withNames(files []artifacts.File, sources []pipeline.Source) []artifacts.File {
	for i := range files {
		for _, s := range sources {
			if s.Path != "" && s.Object == files[i].Digest {
				files[i].Name = s.Path
			}
		}
	}
	return files
}

// filesOf returns the files that a record is of, with the names in its output.
func filesOf(r store.Record) []artifacts.File {
	var output any
	if json.Unmarshal(r.Output, &output) != nil {
		return r.Objects
	}
	return artifacts.FilesIn(output)
}
