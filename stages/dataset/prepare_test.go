package dataset

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/data"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// What does not go together is a mistake at the attribute that says what to write.
func TestKeepMistakes(t *testing.T) {
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{Source: shapes, Keep: "reference"}, `keep: belongs to source = "imagefolder" or "webdataset", not to "shapes": remove it or change the source`},
		{Config{Source: fashion, Keep: "copy"}, `keep: belongs to source = "imagefolder" or "webdataset", not to "fashion-mnist"`},
		{Config{Source: idx, Path: &artifacts.File{Path: "x"}, Prepare: &data.Preparation{Side: 8}}, `prepare: belongs to source = "imagefolder" or "webdataset", not to "idx"`},
		{Config{Source: folder, Keep: "reference"}, `path: source = "imagefolder" needs the directory with the images here`},
		{Config{Source: folder, Path: &artifacts.File{Path: "x"}, Prepare: &data.Preparation{Side: 8, Format: "raw", Quality: 90}}, `prepare.quality: is for format = "jpeg": pixels are kept as they are`},
	} {
		if err := Stage.CheckConfig(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", test.config, err, test.want)
		}
	}
	for _, test := range []struct {
		attr  string
		value any
		want  string
	}{
		{"keep", "link", `keep: "link" is not one of "copy" and "reference"`},
		{"prepare", map[string]any{"side": 0.0}, "prepare.side: must be between 1 and 32768, not 0"},
		{"prepare", map[string]any{"side": 1e6}, "prepare.side: must be between 1 and 32768, not 1e+06"},
		{"prepare", map[string]any{"format": "raw"}, "prepare.side"},
		{"prepare", map[string]any{"side": 256.0, "format": "png"}, `prepare.format: "png" is not one of "jpeg" and "raw"`},
		{"prepare", map[string]any{"side": 256.0, "quality": 101.0}, "prepare.quality: must be between 1 and 100, not 101"},
		{"prepare", map[string]any{"side": 256.0, "size": 1.0}, "prepare.size"},
	} {
		_, err := Stage.Decode(map[string]any{"source": "imagefolder", "path": artifacts.File{Digest: artifacts.Sum(nil), Tree: true}, test.attr: test.value})
		if found := mistake.Of(err); len(found) == 0 || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %s", test.value, err, test.want)
		}
	}
}

// Images that are read where they lie give the same set as copies, with digests beside it: only
// their index is the same to the bit, and so are the keys of all that follows.
func TestReferenceIsTheSameSet(t *testing.T) {
	for source, path := range map[Source]*artifacts.File{folder: folderTree(t), tars: shardTree(t)} {
		var sets []Output
		for _, keep := range []Keep{"copy", "reference"} {
			out, err := run(t.Context(), newTask(t), Config{Source: source, Path: path, Corrupt: skip, Keep: keep})
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []data.Part{out.Dataset.Train, out.Dataset.Test} {
				if part.ChecksFiles() != (keep == referenced) || part.Data != *path {
					t.Errorf("%s, %s: %+v", source, keep, part)
				}
			}
			sets = append(sets, out)
		}
		for _, f := range [][2]artifacts.File{{sets[0].Dataset.Train.Index, sets[1].Dataset.Train.Index}, {sets[0].Dataset.Test.Index, sets[1].Dataset.Test.Index}, {sets[0].Preview, sets[1].Preview}} {
			if a, b := mustRead(t, f[0]), mustRead(t, f[1]); !bytes.Equal(a, b) {
				t.Errorf("%s: %s differs", source, filepath.Base(f[0].Path))
			}
		}
		if digests := mustRead(t, *sets[1].Dataset.Train.Digests); len(digests) != 32*7 {
			t.Errorf("%s: %d bytes of digests", source, len(digests))
		}
	}
}

func mustRead(t *testing.T, f artifacts.File) []byte {
	t.Helper()
	b, err := f.ReadFile()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A set that is read where it lies notices an image that changed, was cut or is gone, names it
// and says what to do; one that only grew still has its image.
func TestReferenceIsChecked(t *testing.T) {
	for _, test := range []struct {
		name, want string
		spoil      func(path string) error
	}{
		{"changed", "has changed since the dataset step read it: put back", func(path string) error { return flip(path) }},
		{"cut", "is cut since", func(path string) error { return os.Truncate(path, 100) }},
		{"gone", "is gone since", os.Remove},
		{"appended", "", func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("more")
			}
			return errors.Join(err, f.Close())
		}},
	} {
		path := folderTree(t)
		out, err := run(t.Context(), newTask(t), Config{Source: folder, Path: path, Corrupt: skip, Keep: referenced})
		if err != nil {
			t.Fatal(err)
		}
		victim := filepath.Join(path.Path, "train/owl/0.jpg")
		if err := test.spoil(victim); err != nil {
			t.Fatal(err)
		}
		train, held, err := data.Open(out.Dataset)
		if err != nil {
			t.Fatal(err)
		}
		defer train.Close()
		defer held.Close()
		failed := 0
		for i := range train.Len() {
			var b data.Batch
			err := train.Batch(t.Context(), []int{i}, data.View{Resolution: 8}, &b)
			if err == nil {
				continue
			}
			failed++
			if !errors.Is(err, data.ErrChanged) || !strings.Contains(err.Error(), victim+" "+test.want) {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if want := map[bool]int{true: 1, false: 0}[test.want != ""]; failed != want {
			t.Errorf("%s: %d images failed, want %d", test.name, failed, want)
		}
	}
}

// flip changes a byte in the middle of a file, and keeps its size.
func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(path, b, 0o666)
}

// Prepared images are the same whatever the number of threads, with the labels and the counts
// of the tree; they lie in shards that WebDataset reads, and the tree is not needed.
func TestPrepare(t *testing.T) {
	for _, p := range []data.Preparation{{Side: 10}, {Side: 10, Format: data.RawPixels}, {Side: 10, Quality: 50}} {
		var sums []string
		for _, cpus := range []int{1, 3} {
			task := pipeline.NewTask(pipeline.Env{Work: t.TempDir(), CPUs: cpus, Checkpoint: t.TempDir()})
			out, err := run(t.Context(), task, Config{Source: folder, Path: folderTree(t), Corrupt: skip, Prepare: &p})
			if err != nil {
				t.Fatal(err)
			}
			if set := out.Dataset; set.Train.Count != 7 || set.Test.Count != 3 || len(out.Corrupt) != 2 || set.Train.ChecksFiles() {
				t.Errorf("%+v: %+v, corrupt %v", p, set, out.Corrupt)
			}
			train, held, err := data.Open(out.Dataset)
			if err != nil {
				t.Fatal(err)
			}
			var b data.Batch
			all := []int{0, 1, 2, 3, 4, 5, 6}
			if err := train.Batch(t.Context(), all, data.View{Resolution: 10}, &b); err != nil || !slices.Equal(b.Labels, []int32{0, 0, 0, 1, 1, 1, 1}) {
				t.Errorf("labels %v, %v", b.Labels, err)
			}
			train.Close()
			held.Close()
			shard, err := os.ReadFile(filepath.Join(out.Dataset.Train.Data.Path, "000000.tar"))
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, artifacts.Sum(append(shard, mustRead(t, out.Dataset.Train.Index)...)).String())
		}
		if sums[0] != sums[1] {
			t.Errorf("%+v: the shards depend on the number of threads", p)
		}
	}
}

// A preparation that was stopped goes on: shards that are whole are not made again.
func TestPrepareResumes(t *testing.T) {
	root, checkpoint := t.TempDir(), t.TempDir()
	for i := range 1100 { // three shards
		dir := filepath.Join(root, []string{"train", "test"}[i/1090], "a")
		if err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, string(rune('a'+i%26))+strings.Repeat("x", i/26)+".jpg"), photo(t, i), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	c := Config{Source: folder, Path: &artifacts.File{Path: root, Tree: true}, Prepare: &data.Preparation{Side: 8}}
	ctx, cancel := context.WithCancel(t.Context())
	stopping := pipeline.Env{Work: t.TempDir(), CPUs: 1, Checkpoint: checkpoint, Progress: func(p pipeline.Progress) {
		if p.Done > 600 {
			cancel()
		}
	}}
	if _, err := run(ctx, pipeline.NewTask(stopping), c); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	first := filepath.Join(checkpoint, "train/000000.tar")
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	resumed, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir(), Checkpoint: checkpoint}), c)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(resumed.Dataset.Train.Data.Path, "000000.tar"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the first shard was made again: %v", err)
	}
	whole, err := run(t.Context(), newTask(t), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"000000.tar", "000001.tar", "000002.tar"} {
		a, aerr := os.ReadFile(filepath.Join(resumed.Dataset.Train.Data.Path, name))
		b, berr := os.ReadFile(filepath.Join(whole.Dataset.Train.Data.Path, name))
		if aerr != nil || berr != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v, %v", name, aerr, berr)
		}
	}
	if !reflect.DeepEqual(resumed.Dataset.Mean, whole.Dataset.Mean) {
		t.Errorf("mean %v and %v", resumed.Dataset.Mean, whole.Dataset.Mean)
	}
}
