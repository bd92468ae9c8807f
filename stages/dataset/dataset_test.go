package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/nas/data"
	"eyrie/nas/data/picture"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
)

func newTask(t *testing.T) *pipeline.Task {
	return pipeline.NewTask(pipeline.Env{Work: t.TempDir(), CPUs: 2})
}

func idxFile(dims []int, content []byte) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, content...)
}

func gzipped(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

// tiny returns the four files of a set of 6 + 3 images of 4×4 pixels in three
// classes, two of the files gzipped.
func tiny() map[string][]byte {
	pixels := make([]byte, 6*16)
	for i := range pixels {
		pixels[i] = byte(i * 37)
	}
	return map[string][]byte{
		"train-images-idx3-ubyte.gz": gzipped(idxFile([]int{6, 4, 4}, pixels)),
		"train-labels-idx1-ubyte":    idxFile([]int{6}, []byte{0, 1, 2, 0, 1, 2}),
		"t10k-images-idx3-ubyte":     idxFile([]int{3, 4, 4}, pixels[:48]),
		"t10k-labels-idx1-ubyte.gz":  gzipped(idxFile([]int{3}, []byte{2, 1, 0})),
	}
}

func writeFiles(t *testing.T, files map[string][]byte) *artifacts.File {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return &artifacts.File{Path: dir, Tree: true}
}

// digest returns the digest of a set: its facts and its files.
func digest(t *testing.T, s data.Set) string {
	t.Helper()
	for _, f := range []*artifacts.File{&s.Train.Index, &s.Train.Data, &s.Test.Index, &s.Test.Data} {
		b, err := f.ReadFile()
		if err != nil {
			t.Fatal(err)
		}
		*f = artifacts.File{Digest: artifacts.Sum(b), Size: int64(len(b))}
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return artifacts.Sum(b).String()
}

// A version gives what it gave.
func TestGolden(t *testing.T) {
	results := map[string]any{}
	for name, config := range map[string]Config{
		"idx":    {Source: idx, Path: writeFiles(t, tiny())},
		"shapes": {Source: shapes, Train: 24, Test: 12, Size: 16, Seed: 3},
		"folder": {Source: folder, Path: folderTree(t), Channels: 1, Corrupt: "skip"},
		"kinds":  {Source: folder, Path: kinds(t)},
		"stored": {Source: folder, Path: kinds(t), Orientation: picture.Stored},
		"scaled": {Source: folder, Path: kinds(t), SixteenBit: picture.Scaled},
		"shards": {Source: tars, Path: shardTree(t), Channels: 1, Corrupt: "skip"},

		"reference":        {Source: folder, Path: folderTree(t), Channels: 1, Corrupt: "skip", Keep: "reference"},
		"reference-shards": {Source: tars, Path: shardTree(t), Channels: 1, Corrupt: "skip", Keep: "reference"},
		"prepared":         {Source: folder, Path: kinds(t), Prepare: &data.Preparation{Side: 10}},
		"prepared-raw":     {Source: tars, Path: shardTree(t), Channels: 1, Corrupt: "skip", Prepare: &data.Preparation{Side: 12, Format: data.RawPixels}},
	} {
		out, err := run(t.Context(), newTask(t), config)
		if err != nil {
			t.Fatal(err)
		}
		results[name] = out
	}
	pipelinetest.Golden(t, Stage, results)
}

// Images and labels of IDX files come out of the loader as they went in, with
// the facts about them.
func TestIDX(t *testing.T) {
	out, err := run(t.Context(), newTask(t), Config{Source: idx, Name: "tiny", Path: writeFiles(t, tiny()), ClassNames: []string{"a", "b", "c"}})
	if err != nil {
		t.Fatal(err)
	}
	set := out.Dataset
	if set.Name != "tiny" || set.Classes != 3 || set.Size != 4 || set.Channels != 1 || set.Train.Count != 6 || set.Test.Count != 3 {
		t.Errorf("facts: %+v", set)
	}
	train, test, err := data.Open(set)
	if err != nil {
		t.Fatal(err)
	}
	defer train.Close()
	defer test.Close()
	var b data.Batch
	if err := test.Batch(t.Context(), []int{2, 0}, data.View{Resolution: 4}, &b); err != nil {
		t.Fatal(err)
	}
	if b.Labels[0] != 0 || b.Labels[1] != 2 {
		t.Errorf("labels %v, want [0 2]", b.Labels)
	}
	for p := range 16 {
		level := (float64(b.X[p])*set.Std[0] + set.Mean[0]) * 255
		if want := float64(byte((32 + p) * 37)); level < want-0.01 || level > want+0.01 {
			t.Errorf("pixel %d of image 2: %v, want %v", p, level, want)
		}
	}
}

// Every kind of damage is reported with the file and what is wrong.
func TestIDXDamage(t *testing.T) {
	for _, test := range []struct {
		name, file string
		content    []byte // nil: no such file
		want       string
	}{
		{"missing", "t10k-images-idx3-ubyte", nil, "has no file t10k-images-idx3-ubyte.gz (nor t10k-images-idx3-ubyte, t10k-images.idx3-ubyte)"},
		{"truncated", "t10k-images-idx3-ubyte", idxFile([]int{3, 4, 4}, make([]byte, 47)), "t10k-images-idx3-ubyte: item 2 of 3: truncated"},
		{"swapped", "train-labels-idx1-ubyte", idxFile([]int{6, 1, 1}, make([]byte, 6)), "train-labels-idx1-ubyte: wrong magic number 00000803, want 00000801"},
		{"counts", "train-labels-idx1-ubyte", idxFile([]int{5}, make([]byte, 5)), "counts differ: 6 images in train-images-idx3-ubyte.gz, 5 labels in train-labels-idx1-ubyte"},
		{"label", "train-labels-idx1-ubyte", idxFile([]int{6}, []byte{0, 1, 2, 3, 0, 0}), "train-labels-idx1-ubyte: item 3: label 3, but there are 3 classes"},
		{"other size", "t10k-images-idx3-ubyte", idxFile([]int{3, 4, 5}, make([]byte, 60)), "t10k-images-idx3-ubyte: images of [4 5] pixels"},
		{"none", "t10k-images-idx3-ubyte", idxFile([]int{0, 4, 4}, nil), "counts differ: 0 images"},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := tiny()
			delete(files, test.file)
			if test.content != nil {
				files[test.file] = test.content
			}
			_, err := run(t.Context(), newTask(t), Config{Source: idx, Path: writeFiles(t, files), ClassNames: []string{"a", "b", "c"}})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// A file that is there packed and unpacked is one file, if both hold the same.
func TestIDXTwice(t *testing.T) {
	labels := idxFile([]int{3}, []byte{2, 1, 0})
	for want, other := range map[string][]byte{
		"": labels,
		"t10k-labels-idx1-ubyte.gz and t10k-labels-idx1-ubyte in ": idxFile([]int{3}, []byte{2, 1, 1}),
		"t10k-labels-idx1-ubyte: item 2 of 3: truncated":           labels[:len(labels)-1],
	} {
		files := tiny()
		files["t10k-labels-idx1-ubyte"] = other
		_, err := run(t.Context(), newTask(t), Config{Source: idx, Path: writeFiles(t, files)})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// A limit keeps images of all classes even of a sorted set.
func TestLimit(t *testing.T) {
	n, kept := 100, 0
	var classes [4]bool
	for i := range n {
		if picked(i, n, 7) {
			kept++
			classes[i/25] = true
		}
	}
	if kept != 7 || classes != [4]bool{true, true, true, true} {
		t.Errorf("kept %d, classes %v", kept, classes)
	}
	out, err := run(t.Context(), newTask(t), Config{Source: idx, Path: writeFiles(t, tiny()), Train: 3, Test: 99})
	if err != nil || out.Dataset.Train.Count != 3 || out.Dataset.Test.Count != 3 {
		t.Errorf("%+v, %v", out.Dataset, err)
	}
}

// Shapes do not depend on the number of threads, nor the test images on the
// number of training images, and they differ from the training images.
func TestShapes(t *testing.T) {
	c := Config{Source: shapes, Train: 36, Test: 12, Size: 16}
	out, err := run(t.Context(), newTask(t), c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir(), CPUs: 5}), c)
	if err != nil {
		t.Fatal(err)
	}
	if digest(t, out.Dataset) != digest(t, again.Dataset) {
		t.Error("five threads draw another set than two")
	}
	c.Train = 12
	fewer, err := run(t.Context(), newTask(t), c)
	if err != nil {
		t.Fatal(err)
	}
	read := func(f artifacts.File) string {
		b, err := f.ReadFile()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if read(out.Dataset.Test.Data) != read(fewer.Dataset.Test.Data) {
		t.Error("the test images depend on the number of training images")
	}
	if read(fewer.Dataset.Test.Data) == read(fewer.Dataset.Train.Data) {
		t.Error("the test images are the training images")
	}
}

// The preview is a picture with a row for each class.
func TestPreview(t *testing.T) {
	out, err := run(t.Context(), newTask(t), Config{Source: shapes, Train: 24, Test: 12, Size: 16})
	if err != nil {
		t.Fatal(err)
	}
	r, err := out.Preview.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	img, err := png.Decode(r)
	if err != nil || img.Bounds().Dy() != 12*previewSide {
		t.Errorf("%v, %v", img.Bounds(), err)
	}
}

// Attributes that do not belong together are refused with what to write.
func TestValidate(t *testing.T) {
	dir, noise := &artifacts.File{}, 0.5
	sum := strings.Repeat("ab", 32)
	for _, test := range []struct {
		config Config
		want   string // "" for none
	}{
		{Config{Source: fashion}, ""},
		{Config{Source: fashion, Path: dir}, ""},
		{Config{Source: fashion, URL: "https://mirror.example/fashion"}, ""},
		{Config{Source: idx, URL: "http://h/d", SHA256: map[string]string{"a.gz": sum}}, ""},
		{Config{Source: shapes, Noise: &noise, Size: 8}, ""},
		{Config{Source: shapes, Path: dir}, `path: belongs to source = "fashion-mnist", "idx", "imagefolder" or "webdataset", not to "shapes"`},
		{Config{Source: fashion, Size: 32}, `size: belongs to source = "shapes"`},
		{Config{Source: fashion, SHA256: map[string]string{"a": sum}}, `sha256: belongs to source = "idx"`},
		{Config{Source: fashion, Path: dir, URL: "http://h"}, "url: write either path"},
		{Config{Source: fashion, URL: "ftp://h/"}, `url: "ftp://h/" is not an address`},
		{Config{Source: idx}, "path: source = "},
		{Config{Source: idx, URL: "http://h/"}, "sha256: a download needs the digest"},
		{Config{Source: idx, URL: "http://h/", SHA256: map[string]string{"a.gz": "12"}}, `sha256["a.gz"]: "12" is not a SHA-256`},
		{Config{Source: idx, URL: "http://h/", SHA256: map[string]string{"../a": sum}}, `sha256: "../a" is not the plain name`},
		{Config{Source: idx, Path: dir, SHA256: map[string]string{"a": sum}}, "sha256: is for downloads"},
		{Config{Source: folder, Path: dir, Channels: 1, Corrupt: "skip"}, ""},
		{Config{Source: tars}, `path: source = "webdataset" needs the directory`},
		{Config{Source: tars, Path: dir, Channels: 2}, "channels: want 1 (grey) or 3 (RGB), not 2"},
		{Config{Source: idx, Path: dir, Corrupt: "skip"}, `corrupt: belongs to source = "imagefolder" or "webdataset", not to "idx"`},
		{Config{Source: idx, Path: &artifacts.File{}, SixteenBit: picture.Scaled}, `sixteen_bit: belongs to source = "imagefolder" or "webdataset", not to "idx"`},
		{Config{Source: shapes, Orientation: picture.Stored}, `orientation: belongs to source = "imagefolder" or "webdataset", not to "shapes"`},
		{Config{Source: shapes, Size: 4}, "size: shapes cannot be told apart"},
	} {
		err := Stage.CheckConfig(test.config)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.config, err, test.want)
		}
	}
}

// serve offers the files, and lets handle answer first where it likes.
func serve(t *testing.T, files map[string][]byte, handle func(w http.ResponseWriter, r *http.Request) bool) Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, ok := files[strings.TrimPrefix(r.URL.Path, "/d/")]; !ok {
			http.NotFound(w, r)
		} else if handle == nil || !handle(w, r) {
			w.Write(b)
		}
	}))
	t.Cleanup(server.Close)
	sums := map[string]string{}
	for name, b := range files {
		sums[name] = fmt.Sprintf("%X", sha256.Sum256(b))
	}
	return Config{Source: idx, URL: server.URL + "/d", SHA256: sums}
}

func impatient(t *testing.T) {
	old := pause
	pause = time.Millisecond
	t.Cleanup(func() { pause = old })
}

// Downloaded files give the same set as the same files at a path, also when the
// server first fails, and cuts an answer short.
func TestDownload(t *testing.T) {
	impatient(t)
	calls := map[string]int{}
	c := serve(t, tiny(), func(w http.ResponseWriter, r *http.Request) bool {
		calls[r.URL.Path]++
		switch calls[r.URL.Path] {
		case 1:
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return true
		case 2:
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte("cut"))
			return true
		}
		return false
	})
	got, err := run(t.Context(), newTask(t), c)
	if err != nil {
		t.Fatal(err)
	}
	want, err := run(t.Context(), newTask(t), Config{Source: idx, Path: writeFiles(t, tiny())})
	if err != nil {
		t.Fatal(err)
	}
	if digest(t, got.Dataset) != digest(t, want.Dataset) {
		t.Error("the downloaded set differs from the one at a path")
	}
}

// What is not the pinned file is refused at once, and leaves nothing behind.
func TestDownloadWrongFile(t *testing.T) {
	impatient(t)
	calls := 0
	c := serve(t, tiny(), func(w http.ResponseWriter, r *http.Request) bool {
		calls++
		io.WriteString(w, "<html>please log in</html>")
		return true
	})
	task := newTask(t)
	_, err := run(t.Context(), task, c)
	if err == nil || !strings.Contains(err.Error(), "not the file that was asked for (26 bytes)") || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	if left, _ := os.ReadDir(task.Path("download")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A file that is not there is not asked for again; a server that keeps failing
// is given up.
func TestDownloadGivesUp(t *testing.T) {
	impatient(t)
	for status, want := range map[int]int{http.StatusNotFound: 1, http.StatusBadGateway: attempts} {
		calls := 0
		c := serve(t, tiny(), func(w http.ResponseWriter, r *http.Request) bool {
			calls++
			w.WriteHeader(status)
			return true
		})
		_, err := run(t.Context(), newTask(t), c)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) || calls != want {
			t.Errorf("%d: %v after %d calls, want %d", status, err, calls, want)
		}
	}
}

// Files that are complete are not downloaded again after an interruption.
func TestDownloadResumes(t *testing.T) {
	calls, broken := map[string]int{}, true
	c := serve(t, tiny(), func(w http.ResponseWriter, r *http.Request) bool {
		calls[filepath.Base(r.URL.Path)]++
		if broken && strings.Contains(r.URL.Path, "train-labels") {
			http.Error(w, "gone", http.StatusGone)
			return true
		}
		return false
	})
	task := pipeline.NewTask(pipeline.Env{Work: t.TempDir(), Checkpoint: t.TempDir()})
	if _, err := run(t.Context(), task, c); err == nil {
		t.Fatal("no error from the broken server")
	}
	broken = false
	if _, err := run(t.Context(), task, c); err != nil {
		t.Fatal(err)
	}
	if calls["train-images-idx3-ubyte.gz"] != 1 || calls["train-labels-idx1-ubyte"] != 2 {
		t.Errorf("calls: %v", calls)
	}
}

// Cancelling ends a download that hangs.
func TestDownloadCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := serve(t, tiny(), func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte("slow"))
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
		return true
	})
	if _, err := run(ctx, newTask(t), c); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// The real files. Under CI they must be there.
func TestFashionMNIST(t *testing.T) {
	const dir = "../../data/fashion-mnist"
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs Fashion-MNIST: ", err)
		}
		t.Skip("scripts/fashion-mnist data/fashion-mnist gets it: ", err)
	}
	out, err := run(t.Context(), newTask(t), Config{Source: fashion, Path: &artifacts.File{Path: dir, Tree: true}})
	if err != nil {
		t.Fatal(err)
	}
	set := out.Dataset
	if set.Train.Count != 60000 || set.Test.Count != 10000 || set.ClassNames[9] != "Ankle boot" {
		t.Errorf("%+v", set)
	}
	if m, s := set.Mean[0], set.Std[0]; m < 0.2860 || m > 0.2861 || s < 0.3530 || s > 0.3531 {
		t.Errorf("mean %v, std %v: want the known 0.2860 and 0.3530", m, s)
	}
}
