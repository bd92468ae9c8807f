package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
	"eyrie/nas/data"
	"eyrie/nas/data/picture"
	"eyrie/pipeline"
)

// photoOf returns a JPEG file of side×side pixels.
func photoOf(t *testing.T, side int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, side, side)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func photo(t *testing.T, i int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 20, 16))
	for p := range img.Pix {
		img.Pix[p] = byte(p * (i + 1))
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// folderTree is an ImageFolder tree of 8 + 4 images of which two are corrupt.
func folderTree(t *testing.T) *artifacts.File {
	root := t.TempDir()
	for i := range 12 {
		part := []string{"train", "train", "val"}[i/4]
		dir := filepath.Join(root, part, []string{"owl", "hawk"}[i%2])
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		b := photo(t, i)
		if i == 3 || i == 9 {
			b = b[:len(b)/2]
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.jpg", i)), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return &artifacts.File{Path: root, Tree: true}
}

// shardTree holds the same as folderTree in two shards.
func shardTree(t *testing.T) *artifacts.File {
	root := t.TempDir()
	for part, images := range map[string][]int{"train": {1, 3, 5, 7, 0, 2, 4, 6}, "val": {9, 11, 8, 10}} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		add := func(name string, content []byte) {
			w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
			w.Write(content)
		}
		for _, i := range images {
			img := photo(t, i)
			if i == 3 || i == 9 {
				img = img[:len(img)/2]
			}
			add(fmt.Sprintf("%d.jpg", i), img)
			add(fmt.Sprintf("%d.cls", i), []byte{"10"[i%2]})
		}
		w.Close()
		if err := os.WriteFile(filepath.Join(root, part+"-0.tar"), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "classes.txt"), []byte("hawk\nowl\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return &artifacts.File{Path: root, Tree: true}
}

// Corrupt images fail the stage, which names the first and says how many; or
// they are left out, named and counted.
func TestTreeCorrupt(t *testing.T) {
	for _, test := range []struct {
		source Source
		path   *artifacts.File
		bad    []string
	}{
		{folder, folderTree(t), []string{"train/hawk/3.jpg: ", "val/hawk/9.jpg: "}},
		{tars, shardTree(t), []string{"train-0.tar: 3.jpg: ", "val-0.tar: 9.jpg: "}},
	} {
		c := Config{Source: test.source, Path: test.path}
		_, err := run(t.Context(), newTask(t), c)
		if err == nil || !strings.Contains(err.Error(), "1 of 8 train images are corrupt; the first is "+test.bad[0]) {
			t.Errorf("%s: %v", test.source, err)
		}
		c.Corrupt = "skip"
		out, err := run(t.Context(), newTask(t), c)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Corrupt) != 2 || !strings.HasPrefix(out.Corrupt[0], test.bad[0]) || !strings.HasPrefix(out.Corrupt[1], test.bad[1]) {
			t.Errorf("%s: left out %q", test.source, out.Corrupt)
		}
		if set := out.Dataset; set.Train.Count != 7 || set.Test.Count != 3 || !slices.Equal(set.ClassNames, []string{"hawk", "owl"}) {
			t.Errorf("%s: %+v", test.source, set)
		}
	}
}

// Folders and shards of the same images have one content in the loader.
func TestTreeContent(t *testing.T) {
	for source, path := range map[Source]*artifacts.File{folder: folderTree(t), tars: shardTree(t)} {
		out, err := run(t.Context(), newTask(t), Config{Source: source, Path: path, Channels: 1, Corrupt: "skip"})
		if err != nil {
			t.Fatal(err)
		}
		train, test, err := data.Open(out.Dataset)
		if err != nil {
			t.Fatal(err)
		}
		if train.Len() != 7 || test.Len() != 3 || train.Size() != 0 || train.Label(0) != 0 || train.Label(6) != 1 {
			t.Errorf("%s: %d + %d images", source, train.Len(), test.Len())
		}
	}
}

// A path that is no such tree is a mistake in the attribute path.
func TestTreeMistakes(t *testing.T) {
	for _, source := range []Source{folder, tars} {
		_, err := run(t.Context(), newTask(t), Config{Source: source, Path: &artifacts.File{Path: t.TempDir(), Tree: true}})
		if err == nil || !strings.HasPrefix(err.Error(), "path: ") || !strings.Contains(err.Error(), "train") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// kinds is an ImageFolder tree of image files of all kinds, as Pillow wrote them; some are
// noted to be turned.
func kinds(t *testing.T) *artifacts.File {
	root := t.TempDir()
	for _, dir := range []string{"train/all", "test/all"} {
		if err := os.CopyFS(filepath.Join(root, dir), os.DirFS("testdata/images")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "labels.csv"), []byte("a,b\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return &artifacts.File{Path: root, Tree: true}
}

// Images are turned upright unless the recipe wants them as they are stored; what is left
// out is named.
func TestTreeOrientation(t *testing.T) {
	previews := map[picture.Orientation]string{}
	for _, o := range []picture.Orientation{"", picture.Upright, picture.Stored} {
		path := kinds(t)
		out, err := run(t.Context(), newTask(t), Config{Source: folder, Path: path, Orientation: o})
		if err != nil {
			t.Fatal(err)
		}
		if set := out.Dataset; set.Train.Count != 9 || set.Test.Count != 9 || out.LeftOut.Count != 1 || !strings.HasPrefix(out.LeftOut.Names[0], "labels.csv (") {
			t.Errorf("%q: %+v", o, out)
		}
		b, err := out.Preview.ReadFile()
		if err != nil {
			t.Fatal(err)
		}
		previews[o] = string(b)
	}
	if previews[""] != previews[picture.Upright] || previews[picture.Upright] == previews[picture.Stored] {
		t.Error("upright is not the default, or stored images are turned")
	}
}

// Grey of 16 bits is clipped as Pillow has it, with a warning that names the images and the
// other choice.
func TestTreeSixteenBits(t *testing.T) {
	means := map[picture.SixteenBit]float64{}
	for _, deep := range []picture.SixteenBit{"", picture.Clipped, picture.Scaled} {
		var log bytes.Buffer
		task := pipeline.NewTask(pipeline.Env{Work: t.TempDir(), CPUs: 2, Log: zerolog.New(&log)})
		out, err := run(t.Context(), task, Config{Source: folder, Path: kinds(t), Channels: 1, SixteenBit: deep})
		if err != nil {
			t.Fatal(err)
		}
		means[deep] = out.Dataset.Mean[0]
		const warning = `"images":1,"first":["train/all/deep.png"],"message":"grey above 255 became white, as in Pillow: sixteen_bit = \"scaled\"`
		if got, want := strings.Contains(log.String(), warning), deep != picture.Scaled; got != want {
			t.Errorf("%q: warned: %v: %s", deep, got, log.String())
		}
	}
	if means[""] != means[picture.Clipped] || means[picture.Clipped] <= means[picture.Scaled] {
		t.Errorf("means %v", means)
	}
}

// What is wrong in a tree is a mistake in the attribute path that names the file.
func TestTreeMistakesAreNamed(t *testing.T) {
	f := shardTree(t)
	if err := os.Truncate(filepath.Join(f.Path, "train-0.tar"), 1024); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), newTask(t), Config{Source: tars, Path: f}); !errors.Is(err, data.ErrTruncated) || !strings.Contains(err.Error(), "train-0.tar: truncated") {
		t.Errorf("a cut shard: %v", err)
	}
}

// The stage ends soon after it was cancelled, whatever it reads or draws.
func TestCancelled(t *testing.T) {
	big := picture.MaxSide / 8
	for name, c := range map[string]Config{
		"folder": {Source: folder, Path: folderTree(t), Corrupt: "skip"},
		"shards": {Source: tars, Path: shardTree(t), Corrupt: "skip"},
		"idx":    {Source: idx, Path: writeFiles(t, tiny())},
		"shapes": {Source: shapes, Size: big},
	} {
		for _, after := range []time.Duration{0, 50 * time.Millisecond} {
			if after > 0 && name != "shapes" {
				continue // done by then
			}
			stop := errors.New("stop")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(after, func() { cancel(stop) })
			if after == 0 {
				cancel(stop)
			}
			begin := time.Now()
			if _, err := run(ctx, newTask(t), c); !errors.Is(err, stop) || time.Since(begin) > after+time.Second {
				t.Errorf("%s, cancelled after %v: %v after %v", name, after, err, time.Since(begin))
			}
		}
	}
}

// Many images are given up within a second, too.
func TestCancelledAmongMany(t *testing.T) {
	root := t.TempDir()
	file := photoOf(t, 600)
	for i := range 400 {
		dir := filepath.Join(root, []string{"train", "test"}[i%2], "a")
		if err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.jpg", i)), file, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	var at time.Time
	time.AfterFunc(200*time.Millisecond, func() { at = time.Now(); cancel(stop) })
	if _, err := run(ctx, newTask(t), Config{Source: folder, Path: &artifacts.File{Path: root, Tree: true}}); !errors.Is(err, stop) || time.Since(at) > time.Second {
		t.Errorf("%v after %v", err, time.Since(at))
	}
}

// What is left out, and classes that nothing teaches, are in the log, too.
func TestLeftOutIsLogged(t *testing.T) {
	shards := t.TempDir()
	for _, part := range []string{"train", "val"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for name, content := range map[string][]byte{"1.jpg": photo(t, 1), "1.cls": []byte("1"), "1.json": []byte("{}")} {
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
				t.Fatal(err)
			}
			w.Write(content)
		}
		w.Close()
		if err := os.WriteFile(filepath.Join(shards, part+".tar"), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for source, test := range map[Source]struct {
		path *artifacts.File
		want []string
	}{
		folder: {kinds(t), []string{`"files":1,"first":["labels.csv (neither in train nor in test)"],"message":"left out"`}},
		tars: {&artifacts.File{Path: shards, Tree: true}, []string{
			`"files":2,"first":["train.tar: 1.json (neither called as an image is nor .cls)","val.tar: 1.json`,
			`"classes":1,"first":"0","message":"no training images: are the labels numbered from 0?"`}},
	} {
		var log bytes.Buffer
		if _, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir(), CPUs: 2, Log: zerolog.New(&log)}), Config{Source: source, Path: test.path}); err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s: %s lacks %s", source, log.String(), want)
			}
		}
	}
}
