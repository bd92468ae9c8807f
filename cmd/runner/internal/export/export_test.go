package export

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// sampled is the output of the sample's stage.
type sampled struct {
	Latency float64        `json:"latency" unit:"s" provenance:"measured"`
	Curve   []point        `json:"curve"`
	Weights artifacts.File `json:"weights"`
}

type point struct {
	Epoch    int     `json:"epoch"`
	Accuracy float64 `json:"accuracy" provenance:"measured"`
}

var sampleStage = pipeline.Define("sample", 3, "Trains something.\n\nAt length.", struct {
	Width float64 `json:"width"`
}{}, func(context.Context, *pipeline.Task, struct {
	Width float64 `json:"width"`
}) (sampled, error) {
	return sampled{}, nil
})

// sample returns a run with a file, a tree, a curve, a failure, names that need care and
// something that is sensitive, and how to read its files.
func sample(t *testing.T) (*Run, Fetch) {
	t.Helper()
	dir := t.TempDir()
	paths := make(map[artifacts.Digest]string)
	file := func(name, text string) artifacts.File {
		f := artifacts.File{Name: name, Digest: artifacts.Sum([]byte(text)), Size: int64(len(text))}
		paths[f.Digest] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[f.Digest], []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return f
	}
	tree := artifacts.File{Name: "images", Digest: artifacts.Sum([]byte("a manifest")), Size: 6, Tree: true}
	paths[tree.Digest] = filepath.Join(dir, "images")
	if err := os.MkdirAll(filepath.Join(paths[tree.Digest], "cat"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(paths[tree.Digest], "cat", "1.png"), []byte("no png"), 0o666); err != nil {
		t.Fatal(err)
	}
	data, weights, table := file("data.csv", "a,b\n1,2\n"), file("weights.safetensors", "weights"), file("table.md", "| a |\n")
	output, err := json.Marshal(map[string]any{"latency": 0.087, "curve": []point{{1, 0.5}, {2, 0.75}, {3, 0.8}}, "weights": weights})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	r := &Run{
		ID: "20261120T100000Z-abcdef", Recipe: "sweep", Status: pipeline.Failed, Started: began, Ended: began.Add(time.Hour),
		Command: []string{"runner", "run", "sweep.hcl", "--var", "width=0.5"}, Runner: "v1.2.3", Host: "laptop", Commit: "0123456789abcdef",
		Sources:   []Source{{"sweep.hcl", []byte("stage …\n")}, {"modules/x/main.hcl", []byte("output …\n")}},
		Variables: map[string]any{"width": 0.5, "names": []any{"a", "b"}, "deep": map[string]any{"on": true}},
		Steps: []Step{
			{ID: `train["0.5 × ½"]`, Block: "train", Stage: "sample", Version: 3, Doc: sampleStage.Doc, Status: pipeline.StepDone, Action: artifacts.ActionID{1},
				Started: began, Elapsed: time.Minute, MadeBy: "20261120T100000Z-abcdef", Output: output, Type: sampleStage.Output,
				Attributes: map[string]any{"width": 0.5, "data": map[string]any{"$object": data.Digest.String()}, "token": map[string]any{"$sensitive": "00"}, "kernels": []any{3.0, 5.0}},
				Reads:      []artifacts.File{data, tree}, Makes: []artifacts.File{weights}},
			{ID: "late", Block: "late", Stage: "sample", Version: 3, Doc: sampleStage.Doc, Status: pipeline.StepFailed, Error: "it is <late> & 'bad'", Reads: []artifacts.File{weights}},
			{ID: "never", Block: "never", Stage: "sample", Version: 3, Doc: sampleStage.Doc, Status: pipeline.StepSkipped},
		},
		Outputs: []Value{
			{Name: "latency", Value: 0.087, Kinds: []pipeline.Provenance{pipeline.Measured}},
			{Name: "table", Value: table},
			{Name: "both", Value: map[string]any{"images": tree, "../up": table, "n": 3.0}},
		},
	}
	return r, func(_ context.Context, f artifacts.File) (string, error) { return paths[f.Digest], nil }
}
