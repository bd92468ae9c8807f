package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// Crate writes the run as a Provenance Run Crate 0.5, which is an RO-Crate 1.1, into a
// directory that it makes. It has the recipe, the files among the recipe's outputs, and
// ro-crate-metadata.json: the run, its steps, and of each step the stage, the times and
// what it read and made, by digest. Files that only steps exchange are named and not
// copied: a data set would make a crate of gigabytes.
//
// License is the one that the crate is under, a URL or a sentence: the profile asks for
// one, and only whoever hands the crate on can say which.
func Crate(ctx context.Context, dir string, r *Run, license string, fetch Fetch) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a directory that is new", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o777); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".crate-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	c := &crate{dir: tmp, run: r, license: license, fetch: fetch, files: map[artifacts.Digest]string{}}
	if err := c.write(ctx); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp's is for its owner alone
		return err
	}
	_ = os.Remove(dir) // empty, if it is there
	return os.Rename(tmp, dir)
}

// entity is an object of the crate's graph.
type entity map[string]any

// crate is one in the making.
type crate struct {
	dir     string
	run     *Run
	license string
	fetch   Fetch

	graph []entity
	files map[artifacts.Digest]string // the id of each file that is described
	parts []any                       // what the root has
}

// Ids of entities that are referred to from several places.
const (
	rootID     = "./"
	metadataID = "ro-crate-metadata.json"
	engineID   = "#runner"
	agentID    = "#user"
	runID      = "#run"
)

// profiles are what the crate conforms to.
var profiles = []struct{ id, name, version string }{
	{"https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"},
	{"https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"},
	{"https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"},
	{"https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"},
}

func ref(id string) entity { return entity{"@id": id} }

func refs(ids []string) []any {
	all := make([]any, len(ids))
	for i, id := range ids {
		all[i] = ref(id)
	}
	return all
}

func (c *crate) add(e entity) { c.graph = append(c.graph, e) }

func (c *crate) write(ctx context.Context) error {
	recipe, err := c.recipe()
	if err != nil {
		return err
	}
	outputs, err := c.outputs(ctx)
	if err != nil {
		return err
	}
	inputs := c.variables()
	tools, steps := c.tools(), []string{}
	for i := range c.run.Steps {
		steps = append(steps, c.step(i))
	}
	c.workflow(recipe, inputs, outputs, tools, steps)
	c.execution(recipe, inputs, outputs)
	if err := c.readme(); err != nil {
		return err
	}
	c.root(recipe)
	return c.metadata()
}

// recipe writes the recipe's files, and returns the id of the first, which stands for it.
func (c *crate) recipe() (string, error) {
	if len(c.run.Sources) == 0 {
		return "", errors.New("the run's journal does not have the text of the recipe: an older runner wrote it, or the text is too long for a journal")
	}
	for _, s := range c.run.Sources {
		name := path.Join("recipe", path.Clean("/"+s.Name))
		if err := c.create(name, bytes.NewReader(s.Text)); err != nil {
			return "", err
		}
		c.parts = append(c.parts, ref(name))
		if s.Name != c.run.Sources[0].Name { // the first is the workflow
			c.add(entity{"@id": name, "@type": "File", "name": path.Base(name), "encodingFormat": "text/plain", "sha256": artifacts.Sum(s.Text).String()})
		}
	}
	return path.Join("recipe", path.Clean("/"+c.run.Sources[0].Name)), nil
}

// create writes a file of the crate.
func (c *crate) create(name string, content io.Reader) (err error) {
	to := filepath.Join(c.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// parameter adds what a value of the workflow is, and returns the id of its kind.
func (c *crate) parameter(role, name, kind string) string {
	id := "#" + role + "-" + fragment(name)
	c.add(entity{"@id": id, "@type": "FormalParameter", "name": name, "additionalType": kind,
		"conformsTo": ref("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE")})
	return id
}

// parameters are values and what they are, by ids.
type parameters struct{ formal, actual []string }

// variables adds the run's variables.
func (c *crate) variables() (p parameters) {
	for _, l := range leaves(map[string]any(c.run.Variables), nil, "", "") {
		formal := c.parameter("variable", l.path, kindOf(l.value))
		id := "#value-of-" + fragment(l.path)
		c.add(entity{"@id": id, "@type": "PropertyValue", "name": l.path, "value": l.text(), "exampleOfWork": ref(formal)})
		p.formal, p.actual = append(p.formal, formal), append(p.actual, id)
	}
	return p
}

func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "Boolean"
	case float64:
		return "Float"
	}
	return "Text"
}

// outputs adds the recipe's outputs, with the files among them.
func (c *crate) outputs(ctx context.Context) (p parameters, err error) {
	for _, v := range c.run.Outputs {
		var ids []string
		kind := "Text"
		if ids, err = c.copyFiles(ctx, v); err != nil {
			return p, err
		}
		switch {
		case len(ids) > 1:
			kind = "Collection"
		case len(ids) == 1:
			kind = "File"
		}
		formal := c.parameter("output", v.Name, kind)
		if len(ids) == 0 {
			id := "#output-value-" + fragment(v.Name)
			e := entity{"@id": id, "@type": "PropertyValue", "name": v.Name, "value": inJSON(v.Value), "exampleOfWork": ref(formal)}
			if len(v.Kinds) > 0 {
				e["measurementTechnique"] = pipeline.JoinKinds(v.Kinds)
			}
			c.add(e)
			ids = []string{id}
		} else if len(ids) > 1 {
			id := "#output-files-" + fragment(v.Name)
			c.add(entity{"@id": id, "@type": "Collection", "name": v.Name, "hasPart": refs(ids), "exampleOfWork": ref(formal)})
			ids = append(ids, id)
		} else {
			c.exemplify(ids[0], formal)
		}
		p.formal, p.actual = append(p.formal, formal), append(p.actual, ids...)
	}
	p.actual = distinct(p.actual)
	return p, nil
}

// distinct returns the elements without repeats, in order.
func distinct(all []string) []string {
	var kept []string
	seen := make(map[string]bool, len(all))
	for _, s := range all {
		if !seen[s] {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	return kept
}

// exemplify says of a file that it is a value of a parameter.
func (c *crate) exemplify(file, formal string) {
	for _, e := range c.graph {
		if e["@id"] == file {
			of, _ := e["exampleOfWork"].([]any)
			e["exampleOfWork"] = append(of, ref(formal))
		}
	}
}

// copyFiles copies the files in an output, and returns their ids.
func (c *crate) copyFiles(ctx context.Context, v Value) (ids []string, err error) {
	err = eachFile(v.Value, v.Name, func(name string, f artifacts.File) error {
		id, err := c.copyFile(ctx, name, f)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// eachFile calls f for the files in a value, with names by where they are in it.
func eachFile(v any, name string, f func(name string, file artifacts.File) error) error {
	switch v := v.(type) {
	case artifacts.File:
		return f(name, v)
	case []any:
		for i, e := range v {
			if err := eachFile(e, name+"/"+strconv.Itoa(i), f); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if err := eachFile(v[k], name+"/"+fragment(k), f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *crate) copyFile(ctx context.Context, name string, f artifacts.File) (string, error) {
	if id, ok := c.files[f.Digest]; ok {
		return id, nil
	}
	from, err := c.fetch(ctx, f)
	if isOutside(err) {
		return c.mentioned(f), nil
	} else if err != nil {
		return "", fmt.Errorf("output %s: %w", name, err)
	}
	id := path.Join("outputs", name)
	if f.Tree {
		id += "/"
		if err := os.CopyFS(filepath.Join(c.dir, filepath.FromSlash(id)), os.DirFS(from)); err != nil {
			return "", err
		}
	} else {
		id += extension(f.Name)
		content, err := os.Open(from)
		if err != nil {
			return "", err
		}
		defer content.Close()
		if err := c.create(id, content); err != nil {
			return "", err
		}
	}
	c.parts = append(c.parts, ref(id))
	c.describe(id, f)
	return id, nil
}

// extension returns that of a file's name, as far as programs go by it.
func extension(name string) string {
	if _, ext, ok := strings.Cut(path.Ext(name), "."); ok && fragment(ext) == ext {
		return "." + ext
	}
	return ""
}

// describe adds a file or tree.
func (c *crate) describe(id string, f artifacts.File) {
	c.files[f.Digest] = id
	e := entity{"@id": id, "@type": "File", "name": f.Name, "contentSize": strconv.FormatInt(f.Size, 10), "sha256": f.Digest.String()}
	if f.Name == "" {
		e["name"] = "content " + f.Digest.String()[:12]
	}
	if f.Tree { // its digest is of a list of its files, which is not SHA-256 of anything that is here
		e["@type"] = "Dataset"
		delete(e, "sha256")
		e["identifier"] = "eyrie-tree-sha256:" + f.Digest.String()
	} else if media := mime.TypeByExtension(path.Ext(f.Name)); media != "" {
		e["encodingFormat"] = media
	}
	c.add(e)
}

// mentioned returns the id of a file that steps exchanged and that is not in the crate:
// a name by its content, RFC 6920.
func (c *crate) mentioned(f artifacts.File) string {
	if id, ok := c.files[f.Digest]; ok {
		return id
	}
	id := "ni:///sha-256;" + namedInformation(f.Digest)
	c.describe(id, f)
	e := c.graph[len(c.graph)-1]
	e["@type"] = "CreativeWork" // no data entity: those have to be in the crate
	if !f.Tree {
		e["identifier"] = "sha256:" + f.Digest.String()
		delete(e, "sha256")
	}
	return id
}

// tools adds the stages that the steps use, and returns their ids.
func (c *crate) tools() []string {
	var ids []string
	for i := range c.run.Steps {
		s := &c.run.Steps[i]
		id := toolID(s)
		if slices.Contains(ids, id) {
			continue
		}
		ids = append(ids, id)
		c.add(entity{"@id": id, "@type": "SoftwareApplication", "name": s.Stage, "softwareVersion": strconv.Itoa(s.Version), "description": firstSentence(s.Doc)})
	}
	return ids
}

func toolID(s *Step) string { return "#stage-" + fragment(s.Stage) + "-" + strconv.Itoa(s.Version) }

func firstSentence(doc string) string {
	first, _, _ := strings.Cut(doc, "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

// step adds a step, what carried it out and how that went, and returns its id.
func (c *crate) step(i int) string {
	s := &c.run.Steps[i]
	id := "#step-" + fragment(s.ID)
	c.add(entity{"@id": id, "@type": "HowToStep", "name": s.ID, "position": strconv.Itoa(i + 1), "workExample": ref(toolID(s))})
	action := "#action-" + fragment(s.ID)
	e := entity{"@id": action, "@type": "CreateAction", "name": "step " + s.ID, "instrument": ref(toolID(s)), "actionStatus": ref(actionStatus(s.succeeded()))}
	if !s.Started.IsZero() {
		e["startTime"], e["endTime"] = stamp(s.Started), stamp(s.ended())
	}
	if s.Error != "" {
		e["error"] = s.Error
	}
	if s.MadeBy != "" && s.MadeBy != c.run.ID {
		e["description"] = "The result was made by run " + s.MadeBy + ", and found in the store."
	}
	if s.Adopted != "" {
		e["description"] = "The stage did not run: its result was adopted " + s.Adopted + "."
	}
	if !s.Action.IsZero() {
		e["identifier"] = "eyrie-action:" + s.Action.String()
	}
	e["object"] = refs(append(c.mention(s.Reads), c.text(action+"-attributes", "attributes", s.Attributes)...))
	e["result"] = refs(append(c.mention(s.Makes), c.text(action+"-output", "output", s.output())...))
	c.add(e)
	c.add(entity{"@id": "#control-" + fragment(s.ID), "@type": "ControlAction", "name": "orchestration of " + s.ID, "instrument": ref(id), "object": ref(action), "actionStatus": ref(actionStatus(s.succeeded()))})
	return id
}

func (c *crate) mention(files []artifacts.File) []string {
	var ids []string
	for _, f := range files {
		ids = append(ids, c.mentioned(f))
	}
	return distinct(ids)
}

// text adds a value in JSON, unless there is none.
func (c *crate) text(id, name string, v any) []string {
	if v == nil {
		return nil
	}
	c.add(entity{"@id": id, "@type": "PropertyValue", "name": name, "value": inJSON(v)})
	return []string{id}
}

func actionStatus(ok bool) string {
	if ok {
		return "http://schema.org/CompletedActionStatus"
	}
	return "http://schema.org/FailedActionStatus"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// workflow adds the recipe as what was carried out.
func (c *crate) workflow(recipe string, in, out parameters, tools, steps []string) {
	const language = "#hcl"
	c.add(entity{"@id": recipe, "@type": []string{"File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"}, "name": c.run.Recipe,
		"programmingLanguage": ref(language), "input": refs(in.formal), "output": refs(out.formal), "hasPart": refs(tools), "step": refs(steps),
		"sha256": artifacts.Sum(c.run.Sources[0].Text).String(), "version": artifacts.Sum(c.run.Sources[0].Text).String()[:12], "encodingFormat": "text/plain",
		"conformsTo": ref("https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE")})
	c.add(entity{"@id": language, "@type": "ComputerLanguage", "name": "Eyrie recipe (HCL)", "identifier": ref("https://github.com/hashicorp/hcl"), "url": ref("https://github.com/hashicorp/hcl")})
}

// execution adds the run: by whom, with what, when.
func (c *crate) execution(recipe string, in, out parameters) {
	r := c.run
	c.add(entity{"@id": engineID, "@type": "SoftwareApplication", "name": "Eyrie runner", "softwareVersion": r.Runner})
	c.add(entity{"@id": agentID, "@type": "Person", "name": "whoever started the run"})
	var controls []any
	for i := range r.Steps {
		controls = append(controls, ref("#control-"+fragment(r.Steps[i].ID)))
	}
	status := ref(actionStatus(r.Status == pipeline.Succeeded))
	c.add(entity{"@id": runID, "@type": "CreateAction", "name": "run " + r.ID, "instrument": ref(recipe), "agent": ref(agentID), "actionStatus": status,
		"description": description(r), "startTime": stamp(r.Started), "endTime": stamp(r.Ended), "object": refs(in.actual), "result": refs(out.actual)})
	c.add(entity{"@id": "#orchestration", "@type": "OrganizeAction", "name": "runner, run " + r.ID, "instrument": ref(engineID), "agent": ref(agentID), "actionStatus": status,
		"object": controls, "result": ref(runID), "startTime": stamp(r.Started), "endTime": stamp(r.Ended)})
}

func description(r *Run) string {
	parts := []string{"Run " + r.ID}
	if len(r.Command) > 0 {
		parts = append(parts, "by "+strings.Join(r.Command, " "))
	}
	if r.Commit != "" {
		parts = append(parts, "at git commit "+r.Commit)
	}
	return strings.Join(parts, ", ") + "."
}

// root adds the crate itself.
func (c *crate) root(recipe string) {
	e := entity{"@id": rootID, "@type": "Dataset", "name": "Run " + c.run.ID + " of " + c.run.Recipe, "description": description(c.run), "datePublished": stamp(c.run.Ended),
		"mainEntity": ref(recipe), "hasPart": c.parts}
	if strings.HasPrefix(c.license, "http://") || strings.HasPrefix(c.license, "https://") {
		e["license"] = ref(c.license)
		c.add(entity{"@id": c.license, "@type": "CreativeWork", "name": c.license, "description": "The licence of this crate."})
	} else {
		e["license"] = c.license
	}
	mentions := []any{ref(runID), ref("#orchestration")}
	for i := range c.run.Steps {
		mentions = append(mentions, ref("#action-"+fragment(c.run.Steps[i].ID)))
	}
	e["mentions"] = mentions
	var conforms []any
	for _, p := range profiles {
		conforms = append(conforms, ref(p.id))
		c.add(entity{"@id": p.id, "@type": "CreativeWork", "name": p.name, "version": p.version})
	}
	e["conformsTo"] = conforms
	c.add(e)
	c.add(entity{"@id": metadataID, "@type": "CreativeWork", "about": ref(rootID), "conformsTo": []any{ref("https://w3id.org/ro/crate/1.1"), ref("https://w3id.org/workflowhub/workflow-ro-crate/1.0")}})
}

// readme writes what the crate is, for whoever unpacks it.
func (c *crate) readme() error {
	const id = "README.md"
	text := "# " + c.run.Recipe + "\n\n" + description(c.run) + "\n\n`recipe/` has what was run, `outputs/` the files that it yields, and `" + metadataID +
		"` says\nwhat each step did, of what and when (RO-Crate 1.1, Provenance Run Crate 0.5).\n"
	c.parts = append(c.parts, ref(id))
	c.add(entity{"@id": id, "@type": "File", "name": "what this crate is", "encodingFormat": "text/markdown", "about": ref(rootID)})
	return c.create(id, strings.NewReader(text))
}

// metadata writes the graph. The terms that RO-Crate 1.1 lacks are defined where they are used.
func (c *crate) metadata() error {
	slices.Reverse(c.graph) // the crate first, then the run
	text, err := json.MarshalIndent(map[string]any{
		"@context": []any{"https://w3id.org/ro/crate/1.1/context", map[string]string{"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}},
		"@graph":   c.graph,
	}, "", "  ")
	if err != nil {
		return err
	}
	return c.create(metadataID, bytes.NewReader(append(text, '\n')))
}
