package dataset

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/stages/data"
)

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
		source string
		path   *artifacts.File
		bad    []string
	}{
		{folder, folderTree(t), []string{"train/hawk/3.jpg: ", "val/hawk/9.jpg: "}},
		{tars, shardTree(t), []string{"train-0.tar: 3.jpg: ", "val-0.tar: 9.jpg: "}},
	} {
		c := Config{Source: test.source, Path: test.path}
		_, err := run(stageContext(t), c)
		if err == nil || !strings.Contains(err.Error(), "1 of 8 train images are corrupt; the first is "+test.bad[0]) {
			t.Errorf("%s: %v", test.source, err)
		}
		c.Corrupt = "skip"
		out, err := run(stageContext(t), c)
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
	for source, path := range map[string]*artifacts.File{folder: folderTree(t), tars: shardTree(t)} {
		out, err := run(stageContext(t), Config{Source: source, Path: path, Channels: 1, Corrupt: "skip"})
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
	for _, source := range []string{folder, tars} {
		_, err := run(stageContext(t), Config{Source: source, Path: &artifacts.File{Path: t.TempDir(), Tree: true}})
		if err == nil || !strings.HasPrefix(err.Error(), "path: ") || !strings.Contains(err.Error(), "train") {
			t.Errorf("%s: %v", source, err)
		}
	}
}
