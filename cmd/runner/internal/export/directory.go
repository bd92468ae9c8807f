package export

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// Directory is MLflow's store of files, as "mlflow ui --backend-store-uri DIR" shows it:
// a directory for each experiment, in it one for each run, with files for what is known
// of it.
type Directory struct {
	Path string

	byKey map[string]*Found // the runs of the experiment, by its id and the tags that ours are found by
}

// Numbers that the files have for words.
var statusNumbers = map[string]int{"RUNNING": 1, "FINISHED": 3, "FAILED": 4, "KILLED": 5}

// localSource is how MLflow calls what was not run by its projects.
const localSource = 4

// Experiment implements Tracker.
func (d *Directory) Experiment(_ context.Context, name string) (id string, err error) {
	root, err := filepath.Abs(d.Path)
	if err != nil {
		return "", err
	}
	d.Path = root
	if id, err = d.experimentNamed(name); err != nil {
		return "", err
	}
	if id == "" {
		if id, err = d.newExperiment(name); err != nil {
			return "", err
		}
	}
	d.byKey = make(map[string]*Found)
	runs, err := os.ReadDir(filepath.Join(root, id))
	for _, r := range runs {
		if r.IsDir() {
			d.index(&Found{ID: r.Name(), where: filepath.Join(root, id, r.Name())}, id)
		}
	}
	return id, err
}

// experimentNamed returns the id of an experiment that is there, or "".
func (d *Directory) experimentNamed(name string) (string, error) {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(d.Path, e.Name(), "meta.yaml"))
		if err != nil {
			continue
		}
		if meta := readMeta(string(text)); meta["name"] == name && meta["lifecycle_stage"] == "active" {
			return e.Name(), nil
		}
	}
	return "", err
}

// newExperiment makes one, with a number for an id as MLflow has it.
func (d *Directory) newExperiment(name string) (string, error) {
	var b [8]byte
	rand.Read(b[:])
	id := strconv.FormatUint(binary.LittleEndian.Uint64(b[:])%1e18, 10)
	dir := filepath.Join(d.Path, id)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	return id, writeMeta(dir, []Entry{{"artifact_location", quoted("file://" + dir)}, {"creation_time", now}, {"experiment_id", quoted(id)},
		{"last_update_time", now}, {"lifecycle_stage", "active"}, {"name", quoted(name)}})
}

// index notes a run by the tags that ours are found by.
func (d *Directory) index(run *Found, experiment string) {
	run.Tags = make(map[string]string)
	for _, key := range []string{runTag, stepTag, wholeTag} {
		if text, err := os.ReadFile(filepath.Join(run.where, "tags", key)); err == nil {
			run.Tags[key] = string(text)
		}
	}
	if run.Tags[runTag] != "" {
		d.byKey[keyOf(experiment, run.Tags[runTag], run.Tags[stepTag])] = run
	}
}

func keyOf(parts ...string) string { return strings.Join(parts, "\x00") }

// Find implements Tracker, for the tags runTag and stepTag.
func (d *Directory) Find(_ context.Context, experiment string, tags []Entry) (*Found, error) {
	return d.byKey[keyOf(experiment, tags[0].Value, tags[1].Value)], nil
}

// Create implements Tracker.
func (d *Directory) Create(ctx context.Context, experiment, name string, start time.Time, tags []Entry) (*Found, error) {
	var b [16]byte
	rand.Read(b[:])
	run := &Found{ID: hex.EncodeToString(b[:])}
	run.where = filepath.Join(d.Path, experiment, run.ID)
	for _, sub := range []string{"artifacts", "metrics", "params", "tags"} {
		if err := os.MkdirAll(filepath.Join(run.where, sub), 0o777); err != nil {
			return nil, err
		}
	}
	err := writeMeta(run.where, []Entry{{"artifact_uri", quoted("file://" + filepath.Join(run.where, "artifacts"))}, {"end_time", "null"}, {"entry_point_name", quoted("")},
		{"experiment_id", quoted(experiment)}, {"lifecycle_stage", "active"}, {"run_id", quoted(run.ID)}, {"run_name", quoted(name)}, {"run_uuid", quoted(run.ID)},
		{"source_name", quoted("")}, {"source_type", strconv.Itoa(localSource)}, {"source_version", quoted("")}, {"start_time", strconv.FormatInt(start.UnixMilli(), 10)},
		{"status", strconv.Itoa(statusNumbers["RUNNING"])}, {"tags", "[]"}, {"user_id", quoted("")}})
	if err == nil {
		err = d.Log(ctx, run, nil, nil, append([]Entry{{"mlflow.runName", name}}, tags...))
	}
	if err != nil {
		return nil, err
	}
	d.index(run, experiment)
	return run, nil
}

// Log implements Tracker: a file for each name, of a metric with a line for each step.
func (d *Directory) Log(_ context.Context, run *Found, params []Entry, metrics []Metric, tags []Entry) error {
	files := make(map[string]string, len(params)+len(tags))
	for _, p := range params {
		files[filepath.Join("params", filepath.FromSlash(p.Key))] = p.Value
	}
	for _, t := range tags {
		files[filepath.Join("tags", filepath.FromSlash(t.Key))] = t.Value
	}
	for _, m := range metrics {
		files[filepath.Join("metrics", filepath.FromSlash(m.Key))] += fmt.Sprintf("%d %s %d\n", m.Time, strconv.FormatFloat(m.Value, 'g', -1, 64), m.Step)
	}
	for _, name := range sortedKeys(files) {
		to := filepath.Join(run.where, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		if err := renameio.WriteFile(to, []byte(files[name]), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// Upload implements Tracker.
func (d *Directory) Upload(_ context.Context, run *Found, name, path string) (err error) {
	to := filepath.Join(run.where, "artifacts", filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// End implements Tracker.
func (d *Directory) End(_ context.Context, run *Found, status string, end time.Time) error {
	text, err := os.ReadFile(filepath.Join(run.where, "meta.yaml"))
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "end_time":
			lines[i] = "end_time: " + strconv.FormatInt(end.UnixMilli(), 10)
		case "status":
			lines[i] = "status: " + strconv.Itoa(statusNumbers[status])
		}
	}
	return renameio.WriteFile(filepath.Join(run.where, "meta.yaml"), []byte(strings.Join(lines, "\n")), 0o666)
}

// writeMeta writes what is known of an experiment or a run, as YAML.
func writeMeta(dir string, entries []Entry) error {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.Key + ": " + e.Value + "\n")
	}
	return renameio.WriteFile(filepath.Join(dir, "meta.yaml"), []byte(b.String()), 0o666)
}

// quoted returns a text as a double-quoted scalar of YAML, which JSON's strings are.
func quoted(text string) string {
	b, _ := json.Marshal(text) // no string fails
	return string(b)
}

// readMeta reads the entries of a meta.yaml that are scalars on a line of their own, as all
// are that MLflow writes.
func readMeta(text string) map[string]string {
	meta := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch {
		case strings.HasPrefix(value, `"`):
			var s string
			if json.Unmarshal([]byte(value), &s) == nil {
				value = s
			}
		case strings.HasPrefix(value, `'`):
			value = strings.ReplaceAll(strings.TrimSuffix(value[1:], `'`), `''`, `'`)
		}
		meta[name] = value
	}
	return meta
}
