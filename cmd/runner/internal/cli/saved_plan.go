package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"eyrie/artifacts"
	"eyrie/artifacts/seal"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

// savedPlan is a plan in a file: what run --plan does exactly, or not at all. Of variables it
// has salted digests alone, so that nothing in it is a secret.
type savedPlan struct {
	Recipe    string                      `json:"recipe"`
	Files     []pipeline.Text             `json:"files"` // without their texts
	Salt      []byte                      `json:"salt"`
	Variables map[string]artifacts.Digest `json:"variables"`
	Targets   []string                    `json:"targets,omitempty"`
	Rerun     []string                    `json:"rerun,omitempty"`
	Steps     []savedStep                 `json:"steps"`
}

// savedStep is a step with its verdict.
type savedStep struct {
	Step    string             `json:"step"`
	Stage   string             `json:"stage"`
	Version int                `json:"version"`
	Verdict pipeline.Verdict   `json:"verdict"`
	Action  artifacts.ActionID `json:"action"` // zero where it is not known
	After   []string           `json:"after,omitempty"`
}

// planSeal names the form of the file.
const planSeal = "plan 1"

// savePlan writes a plan to a file.
func savePlan(path string, p *pipeline.Plan, opt pipeline.PlanOptions) error {
	salt := make([]byte, 16)
	rand.Read(salt)
	body, err := json.MarshalIndent(newSavedPlan(p, opt, salt), "", " ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, seal.Wrap(planSeal, body), 0o666)
}

func newSavedPlan(p *pipeline.Plan, opt pipeline.PlanOptions, salt []byte) *savedPlan {
	saved := &savedPlan{Recipe: p.Recipe.Name, Salt: salt, Variables: make(map[string]artifacts.Digest), Targets: opt.Targets, Rerun: opt.Rerun}
	for _, f := range p.Recipe.Files {
		saved.Files = append(saved.Files, pipeline.Text{Name: f.Name, Digest: f.Digest})
	}
	for _, v := range p.Recipe.Variables {
		saved.Variables[v.Name] = v.Seal(salt)
	}
	for _, s := range p.Steps {
		saved.Steps = append(saved.Steps, savedStep{s.ID, s.Stage.Name, s.Stage.Version, s.Verdict, s.Action, s.After})
	}
	return saved
}

// loadPlan reads a plan from a file.
func loadPlan(path string) (*savedPlan, error) {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, invalidf("--plan: there is no file %s", path)
	} else if err != nil {
		return nil, err
	}
	saved, err := parsePlan(b)
	if err != nil {
		return nil, invalidf("--plan %s: %w", path, err)
	}
	return saved, nil
}

// parsePlan decodes what savePlan wrote.
func parsePlan(b []byte) (*savedPlan, error) {
	body, err := seal.Open(planSeal, b)
	if err != nil {
		return nil, fmt.Errorf("is not a plan that runner plan --out wrote, or is damaged")
	}
	var saved savedPlan
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&saved); err != nil {
		return nil, fmt.Errorf("is not a plan that this version can read: %w", err)
	}
	return &saved, nil
}

// check reports how the plan that is made now differs from the saved one.
func (saved *savedPlan) check(p *pipeline.Plan) error {
	now := newSavedPlan(p, pipeline.PlanOptions{}, saved.Salt)
	changed := saved.inputs(now)
	was := make(map[string]savedStep, len(saved.Steps))
	for _, s := range saved.Steps {
		was[s.Step] = s
	}
	for _, s := range now.Steps {
		before, ok := was[s.Step]
		delete(was, s.Step)
		if text := before.differs(s); !ok {
			changed = append(changed, "step "+s.Step+" is new")
		} else if text != "" {
			changed = append(changed, "step "+s.Step+": "+text)
		}
	}
	for _, s := range saved.Steps {
		if _, gone := was[s.Step]; gone {
			changed = append(changed, "step "+s.Step+" is gone")
		}
	}
	if len(changed) == 0 {
		return nil
	}
	const most = 10
	if more := len(changed) - most; more > 0 {
		changed = append(changed[:most], fmt.Sprintf("and %s more", view.Count(more, "difference")))
	}
	return invalidf("nothing was run, as the plan no longer holds:\n  %s\nplan again: runner plan RECIPE --out FILE", strings.Join(changed, "\n  "))
}

// inputs says which files and variables of the recipe differ.
func (saved *savedPlan) inputs(now *savedPlan) (changed []string) {
	if saved.Recipe != now.Recipe {
		changed = append(changed, fmt.Sprintf("the plan is of the recipe %s, not of %s", saved.Recipe, now.Recipe))
	}
	for _, f := range now.Files {
		if !slices.Contains(saved.Files, f) {
			changed = append(changed, "the text of "+f.Name)
		}
	}
	if len(saved.Files) > len(now.Files) {
		changed = append(changed, "the recipe has fewer files")
	}
	names := make(map[string]string, len(now.Variables))
	for name, d := range now.Variables {
		if saved.Variables[name] != d {
			names[name] = "variable " + name + " has another value: give it as when the plan was made"
		}
	}
	for name := range saved.Variables {
		if _, ok := now.Variables[name]; !ok {
			names[name] = "variable " + name + " is gone"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		changed = append(changed, names[name])
	}
	return changed
}

// differs says how a step is planned otherwise than before, "" where it is not.
func (s savedStep) differs(now savedStep) string {
	switch {
	case s.Stage != now.Stage || s.Version != now.Version:
		return fmt.Sprintf("stage %s version %d → %s version %d", s.Stage, s.Version, now.Stage, now.Version)
	case s.Verdict != now.Verdict:
		return fmt.Sprintf("%s → %s", s.Verdict, now.Verdict)
	case s.Action != now.Action:
		return "an attribute or an input has another value: its action is " + now.Action.String()[:12] + ", not " + s.Action.String()[:12]
	case !slices.Equal(s.After, now.After):
		return "waits for other steps"
	}
	return ""
}
