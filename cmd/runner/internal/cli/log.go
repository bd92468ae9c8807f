package cli

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/explain"
	"eyrie/pipeline/history"
)

func (a *app) logCommand() *cobra.Command {
	var run string
	var follow bool
	cmd := &cobra.Command{
		Use:   "log RECIPE STEP",
		Short: "Print what a step wrote to its log",
		Long: `Print what a step wrote to its log in the recipe's last run that has it; of a step
that was cached, in the run that made its result. Attempts that failed are told, and the
error. With --follow, of a run that goes on, also what is still to come.

` + namesHelp + "\n\n" + runHelp,
		Example: `  runner log paper.hcl train
  runner log paper.hcl 'train[a]' --follow`,
		Args:              exactly("RECIPE", "STEP"),
		ValidArgsFunction: a.completeRecipe,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.past(args[0])
			if err != nil {
				return err
			}
			defer p.Close()
			r, steps, err := p.logged(args[1], run)
			if err != nil {
				return err
			}
			if follow && r.Status == history.Running {
				if len(steps) > 1 {
					return invalidf("--follow: %s stands for %s: want one", args[1], view.Count(len(steps), "step"))
				}
				return a.follow(cmd.Context(), p, r, steps[0].ID)
			}
			return a.logs(cmd.Context(), p, r, steps)
		},
	}
	cmd.Flags().StringVar(&run, "run", "", "the log of this `RUN`")
	cmd.Flags().BoolVar(&follow, "follow", false, "wait for more while the run goes on")
	return cmd
}

// mostLogged is how many runs are looked through for one that has a step.
const mostLogged = 500

// logged returns the run in which the steps of a name are looked for: the one that is
// given, or else the last that has any.
func (p *past) logged(step, run string) (*history.Run, []*history.Step, error) {
	if run != "" {
		r, err := p.find(run)
		if err != nil {
			return nil, nil, err
		}
		steps, err := stepsIn(r, step)
		return r, steps, err
	}
	all, err := history.List(p.Store, p.recipe)
	if err != nil {
		return nil, nil, err
	}
	var first error
	n := 0
	for s := range all {
		if n++; n > mostLogged {
			break
		}
		r, err := history.Read(p.Store, s.ID)
		if err != nil {
			continue
		}
		steps, err := stepsIn(r, step)
		if err == nil && slices.ContainsFunc(steps, func(s *history.Step) bool { return s.Type != pipeline.StepSkipped }) {
			return r, steps, nil
		} else if err == nil {
			err = invalidf("%s has not been started in the last runs", step)
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = invalid(&history.NoRunError{Name: "last", Recipe: p.recipe, Runs: new(int)})
	}
	return nil, nil, first
}

// logs prints the steps' logs. Of several, those that wrote nothing are left out.
func (a *app) logs(ctx context.Context, p *past, r *history.Run, steps []*history.Step) error {
	journals := explain.NewJournals(ctx, p.Store)
	logs := make(map[string]map[string][]pipeline.Event) // by run and step: a journal is read once
	said := false
	for _, s := range steps {
		in, did, err := p.maker(ctx, journals, r, s)
		if err != nil {
			return err
		}
		if in == nil {
			say(a.err, "%s was adopted: its stage did not run", s.ID)
			said = true
			continue
		}
		if logs[in.ID] == nil {
			if logs[in.ID], err = p.logsIn(in); err != nil {
				return err
			}
		}
		events := logs[in.ID][did.ID]
		if len(events) > 0 && len(steps) > 1 && !a.json {
			if said {
				say(a.out, "")
			}
			say(a.out, "%s", a.style(a.out).Bold(s.ID))
		}
		said = said || len(events) > 0
		for _, e := range events {
			a.logEvent(e)
		}
	}
	if !said && !a.json {
		say(a.err, "nothing was written to the log")
	}
	return nil
}

// logsIn returns the events of a run that logs consist of, by step.
func (p *past) logsIn(r *history.Run) (map[string][]pipeline.Event, error) {
	f, err := p.OpenJournal(r.ID)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	logs := make(map[string][]pipeline.Event)
	return logs, history.Events(f, func(e pipeline.Event) {
		if isLog(e.Type) {
			logs[e.Step] = append(logs[e.Step], e)
		}
	})
}

// isLog reports whether an event is a part of its step's log.
func isLog(t pipeline.EventType) bool {
	return t == pipeline.StepLog || t == pipeline.StepRetry || t == pipeline.StepFailed
}

// maker returns the run that has a step's log, and the step there: those given, or, of one
// that was cached, those that made its result; nil where that was adopted.
func (p *past) maker(ctx context.Context, journals *explain.Journals, r *history.Run, s *history.Step) (*history.Run, *history.Step, error) {
	if s.Type != pipeline.StepCached {
		return r, s, nil
	}
	record, _ := p.Lookup(ctx, s.Action)
	if record.Adopted != nil {
		return nil, nil, nil
	} else if record.Run == "" {
		return nil, nil, invalidf("step %s was cached in run %s, and its record, which would say which run made it, is no longer in the store", s.ID, r.ID)
	}
	in := journals.Run(record.Run)
	if in == nil || in.Step(record.Step) == nil {
		return nil, nil, invalidf("step %s was cached in run %s: run %s made it as step %s, of which there is no journal any more", s.ID, r.ID, record.Run, record.Step)
	}
	return in, in.Step(record.Step), nil
}

// logEvent prints what an event adds to its step's log.
func (a *app) logEvent(e pipeline.Event) {
	if !isLog(e.Type) {
		return
	}
	y := a.style(a.out)
	at := y.Dim(e.Time.Local().Format("15:04:05.000"))
	switch {
	case a.json:
		_ = a.print("log", logJSON{e.Run, e.Step, e.Time, e.Log, e.Attempt, e.Error})
	case e.Type == pipeline.StepLog:
		say(a.out, "%s  %s", at, view.LogLine(y, e.Log))
	case e.Type == pipeline.StepRetry:
		say(a.out, "%s  %s", at, y.Yellow("attempt failed: ")+e.Error)
	default:
		say(a.out, "%s  %s", at, y.Red("failed: ")+e.Error)
		if e.Stack != "" {
			say(a.out, "%s", e.Stack)
		}
	}
}

// logJSON is a line of a log for programs.
type logJSON struct {
	Run     string          `json:"run"`
	Step    string          `json:"step"`
	At      time.Time       `json:"at"`
	Log     json.RawMessage `json:"log,omitempty"`
	Attempt int             `json:"attempt,omitempty"` // that failed
	Error   string          `json:"error,omitempty"`
}

// follow prints a step's log until the step, or its run, comes to an end. A journal can only
// be looked at again and again: other systems than ours write it, too.
func (a *app) follow(ctx context.Context, p *past, r *history.Run, step string) error {
	f, err := p.OpenJournal(r.ID)
	if err != nil {
		return err
	}
	defer f.Close()
	over := false
	t := history.NewTail(f)
	for {
		alive := store.Writing(f)
		err := t.Events(func(e pipeline.Event) {
			if e.Step == step && !over {
				a.logEvent(e)
			}
			over = over || e.Type == pipeline.RunFinished || e.Step == step && history.IsEnd(e.Type)
		})
		if err != nil || over || !alive {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
