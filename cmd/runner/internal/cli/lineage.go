package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline/history"
)

func (a *app) lineageCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lineage RECIPE ARTIFACT",
		Short: "Tell what an artifact was made of, and what was made of it",
		Long: `Tell what an artifact was made of: the step that made it and what that took, back to the
files that recipes named; and which steps read it, and what they made. An ARTIFACT is a
file or directory (its content counts), the digest of one or the beginning of it, or an
output of a step in the recipe's last run, such as train.weights.

Backward, values are followed as well as files, as far as the journals of the runs are there;
forward, files alone, as they are what keys name.`,
		Example: `  runner lineage paper.hcl .eyrie/outputs/paper/report.html
  runner lineage paper.hcl train.weights`,
		Args:              exactly("RECIPE", "ARTIFACT"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.past(args[0])
			if err != nil {
				return err
			}
			defer p.Close()
			l, err := history.NewLineage(cmd.Context(), p.Store)
			if err != nil {
				return err
			}
			t := &family{lineage: l, left: mostFamily, seen: make(map[artifacts.ActionID]bool)}
			digest, action, err := p.artifact(cmd.Context(), l, args[1])
			if err != nil {
				return err
			}
			doc := t.of(args[1], digest, action)
			if a.json {
				return a.print("lineage", doc)
			}
			a.writeLineage(doc)
			return nil
		},
	}
}

// artifact returns the content that a name stands for, or the action that has a value for its
// output.
func (p *past) artifact(ctx context.Context, l *history.Lineage, name string) (*artifacts.Digest, artifacts.ActionID, error) {
	var none artifacts.ActionID
	if _, err := os.Stat(name); err == nil {
		f, err := p.Hash(ctx, name)
		return &f.Digest, none, err
	}
	if isHex(name) {
		var found []artifacts.Digest
		l.Contents(func(d artifacts.Digest) {
			if strings.HasPrefix(d.String(), name) {
				found = append(found, d)
			}
		})
		switch len(found) {
		case 0:
			return nil, none, invalidf("no record in the store tells of content %s", name)
		case 1:
			return &found[0], none, nil
		}
		return nil, none, invalidf("%d contents begin with %s: write more of the digest", len(found), name)
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || name[:dot] == "stage" {
		return nil, none, invalidf("there is no file %s; want a file, a digest, or an output of a step such as train.weights", name)
	}
	_, steps, err := p.logged(name[:dot], "")
	if err != nil {
		return nil, none, err
	}
	if len(steps) > 1 {
		return nil, none, invalidf("%s stands for %d steps: want one", name[:dot], len(steps))
	}
	r, ok := l.Record(steps[0].Action)
	if !ok {
		return nil, none, invalidf("what step %s did in the last run is no longer in the store", steps[0].ID)
	}
	d, err := outputOf(r.Output, name[dot+1:])
	return d, r.Action, err
}

// outputOf returns the content of an output that is a file, nil for another value.
func outputOf(output []byte, name string) (*artifacts.Digest, error) {
	var names []string
	for _, l := range leavesOf(output) {
		first, _, _ := strings.Cut(l.path, ".")
		if names = append(names, first); l.path != name {
			continue
		}
		if f, ok := artifacts.FileIn(l.value); ok {
			return &f.Digest, nil
		}
	}
	if !slices.Contains(names, name) {
		return nil, invalidf("the step has no output %q%s", name, whatThereIs(name, slices.Compact(names)))
	}
	return nil, nil
}

// isHex reports whether a text can be the beginning of a digest.
func isHex(s string) bool {
	return len(s) >= 4 && len(s) <= 2*len(artifacts.Digest{}) && strings.Trim(s, "0123456789abcdef") == ""
}

// mostFamily is how many actions a tree shows.
const mostFamily = 200

// family makes the tree of an artifact.
type family struct {
	lineage *history.Lineage
	left    int
	seen    map[artifacts.ActionID]bool
}

// familyJSON is what an artifact came from and what came of it.
type familyJSON struct {
	Artifact string     `json:"artifact"`
	Object   string     `json:"object,omitempty"`
	From     []relative `json:"from"`
	To       []relative `json:"to"`
}

// relative is an action, or a file that a recipe named, with what is behind it.
type relative struct {
	Attr   string `json:"attr,omitempty"` // of the action that it is an input of
	Path   string `json:"path,omitempty"`
	Object string `json:"object,omitempty"`
	Step   string `json:"step,omitempty"`
	Run    string `json:"run,omitempty"` // of one that was adopted there is none

	Adopted *store.Adopted `json:"adopted,omitempty"`

	Output string     `json:"output,omitempty"`
	Action string     `json:"action,omitempty"`
	Again  bool       `json:"again,omitempty"` // what is behind it is shown elsewhere, or is too much
	Behind []relative `json:"behind,omitempty"`
}

func (t *family) of(name string, digest *artifacts.Digest, action artifacts.ActionID) familyJSON {
	doc := familyJSON{Artifact: name, From: []relative{}, To: []relative{}}
	makers := []artifacts.ActionID{action}
	if digest != nil {
		doc.Object, makers = digest.String(), t.lineage.Makers(*digest)
	}
	for _, id := range makers {
		doc.From = append(doc.From, t.action(id, t.back))
	}
	if digest != nil {
		clear(t.seen)
		for _, id := range t.lineage.Readers(*digest) {
			doc.To = append(doc.To, t.action(id, t.forward))
		}
	}
	return doc
}

// action describes an action, and what is behind it the first time that it is met.
func (t *family) action(id artifacts.ActionID, behind func(artifacts.ActionID) []relative) relative {
	r, ok := t.lineage.Record(id)
	rel := relative{Action: id.String(), Step: r.Step, Run: r.Run, Adopted: r.Adopted}
	if rel.Again = !ok || t.seen[id] || t.left == 0; rel.Again {
		return rel
	}
	t.seen[id] = true
	t.left--
	rel.Behind = behind(id)
	return rel
}

func (t *family) back(id artifacts.ActionID) (all []relative) {
	for _, in := range t.lineage.Inputs(id) {
		rel := relative{}
		if !in.Action.IsZero() {
			rel = t.action(in.Action, t.back)
		}
		rel.Attr, rel.Path, rel.Output = in.Attr, in.Path, in.Output
		if in.Object != nil {
			rel.Object = in.Object.String()
		}
		all = append(all, rel)
	}
	return all
}

func (t *family) forward(id artifacts.ActionID) (all []relative) {
	r, _ := t.lineage.Record(id)
	for _, f := range r.Objects {
		for _, reader := range t.lineage.Readers(f.Digest) {
			rel := t.action(reader, t.forward)
			rel.Object = f.Digest.String()
			all = append(all, rel)
		}
	}
	return all
}

// writeLineage prints the tree.
func (a *app) writeLineage(doc familyJSON) {
	y := a.style(a.out)
	line := y.Bold(doc.Artifact)
	if doc.Object != "" {
		line += "  content " + doc.Object[:12]
	}
	say(a.out, "%s", line)
	say(a.out, "\n%s", y.Bold("Made by"))
	if len(doc.From) == 0 {
		say(a.out, "  no step: it came from outside, or its record is gone")
	}
	a.writeRelatives(1, doc.From)
	if doc.Object != "" {
		say(a.out, "\n%s", y.Bold("Read by"))
		if len(doc.To) == 0 {
			say(a.out, "  no step")
		}
		a.writeRelatives(1, doc.To)
	}
}

func (a *app) writeRelatives(depth int, all []relative) {
	for len(all) > 0 {
		r := all[0]
		var parts []string
		if r.Attr != "" {
			parts = append(parts, r.Attr+" ←")
		}
		switch {
		case r.Path != "":
			parts = append(parts, "file "+nearby(r.Path))
		case r.Step != "":
			parts = append(parts, strings.TrimSuffix(r.Step+"."+r.Output, "."))
			if r.Adopted != nil {
				parts = append(parts, "(adopted "+adoptedText(r.Adopted)+")")
			} else {
				parts = append(parts, "(run "+r.Run+")")
			}
		case r.Action != "":
			parts = append(parts, "action "+r.Action[:12]+", whose record is gone")
		}
		if r.Object != "" {
			parts = append(parts, fmt.Sprintf("content %s", r.Object[:12]))
		}
		if r.Again && r.Step != "" {
			parts = append(parts, "(see above)")
		}
		say(a.out, "%s%s", strings.Repeat("  ", depth), strings.Join(parts, " "))
		a.writeRelatives(depth+1, r.Behind)
		n := r.alike(all[1:])
		if n > 0 { // the cells of a table, for one
			say(a.out, "%s%s ← and %s of %s", strings.Repeat("  ", depth), r.Attr, view.Count(n, "other output"), r.Step)
		}
		all = all[1+n:]
	}
}

// alike returns how many of those that follow came into the same attribute from the same
// step, whose own lineage has been told.
func (r *relative) alike(next []relative) int {
	n := slices.IndexFunc(next, func(o relative) bool {
		return !o.Again || o.Step == "" || o.Attr != r.Attr || o.Step != r.Step || o.Run != r.Run
	})
	if n < 0 {
		return len(next)
	}
	return n
}
