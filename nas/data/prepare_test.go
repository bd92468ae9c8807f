package data

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/nas/data/picture/picturetest"
)

// The shorter side becomes the side asked for, in the image's proportions; what is not larger
// stays.
func TestShrunk(t *testing.T) {
	for _, test := range []struct{ w, h, side, wantW, wantH int }{
		{500, 375, 256, 341, 256}, {375, 500, 256, 256, 341}, {256, 300, 256, 256, 300}, {100, 50, 256, 100, 50},
		{257, 257, 256, 256, 256}, {1000, 3, 2, 667, 2}, {1, 9, 1, 1, 9}, {30000, 257, 256, 29883, 256},
	} {
		w, h, smaller := shrunk(test.w, test.h, test.side)
		if w != test.wantW || h != test.wantH || smaller != (w != test.w) {
			t.Errorf("%+v: %d×%d, %v", test, w, h, smaller)
		}
	}
}

// photos makes a tree of real JPEG files with Pillow: photographs' sizes, smooth areas, edges
// and noise. It returns Pillow's own resized pixels of each beside it, as NAME.rgb.
func photos(t *testing.T, n, w, h, side int) string {
	t.Helper()
	root := t.TempDir()
	const script = `import os, random, sys
from PIL import Image, ImageDraw
root, n, w, h, side = sys.argv[1], *map(int, sys.argv[2:])
random.seed(5)
for i in range(n):
    size = (w, h) if i % 3 else (h, w)
    image = Image.frombytes("RGB", (9, 9), random.randbytes(243)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y = random.randrange(size[0]), random.randrange(size[1])
        draw.ellipse((x, y, x + 90, y + 60), fill=tuple(random.randbytes(3)))
    path = os.path.join(root, "train" if i % 4 else "val", "owl" if i % 2 else "hawk")
    os.makedirs(path, exist_ok=True)
    path = os.path.join(path, "%04d.jpg" % i)
    image.save(path, quality=90)
    image = Image.open(path).convert("RGB")
    scale = side / min(image.size)
    small = tuple(max(side, int(v * scale + 0.5)) for v in image.size)
    open(os.path.join(root, os.path.basename(path) + ".rgb"), "wb").write(image.resize(small, Image.Resampling.BILINEAR).tobytes())
for part in ("train", "val"):
    for name in ("owl", "hawk"):
        os.makedirs(os.path.join(root, part, name), exist_ok=True)
`
	cmd := exec.Command(picturetest.Python(t), "-c", script, root, fmt.Sprint(n), fmt.Sprint(w), fmt.Sprint(h), fmt.Sprint(side))
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return root
}

// Raw shards of photographs hold what Pillow's resize with BILINEAR makes of them, within 1 of
// 255, in shards that list as WebDataset's do, with the tree's labels.
func TestPreparedAsPillow(t *testing.T) {
	root := photos(t, 12, 150, 100, 64)
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	made := t.TempDir()
	o := SurveyOptions{Threads: 2, Report: func(int) {}}
	ix, found, err := Prepare(t.Context(), l.Train, root, filepath.Join(made, "train"), t.TempDir(), Preparation{Side: 64, Format: RawPixels}, o)
	if err != nil || len(found.Corrupt) > 0 {
		t.Fatal(found.Corrupt, err)
	}
	if _, _, err := Prepare(t.Context(), l.Test, root, filepath.Join(made, "val"), t.TempDir(), Preparation{Side: 64}, o); err != nil {
		t.Fatal(err)
	}
	for i, r := range ix.Records {
		shard, err := os.ReadFile(filepath.Join(made, "train", ix.Files[r.File]))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(root, filepath.Base(l.TrainNames[i])+".rgb"))
		if err != nil {
			t.Fatal(err)
		}
		file := shard[r.Offset:][:r.Length]
		pix, ok := bytes.CutPrefix(file, []byte("P6\n96 64\n255\n"))
		if portrait, is := bytes.CutPrefix(file, []byte("P6\n64 96\n255\n")); is {
			pix, ok = portrait, true
		}
		if !ok || len(pix) != len(want) {
			t.Fatalf("%s: %q, %d bytes, want %d", l.TrainNames[i], file[:12], len(pix), len(want))
		}
		for p, v := range pix {
			if by := max(v, want[p]) - min(v, want[p]); by > 1 {
				t.Errorf("%s: byte %d is %d, Pillow has %d", l.TrainNames[i], p, v, want[p])
				break
			}
		}
	}
	shards, err := ListShards(t.Context(), made, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	if len(shards.Train.Records) != len(ix.Records) || len(shards.Test.Records) != 3 || len(shards.ClassNames) != 2 {
		t.Errorf("listed %d and %d images of %v", len(shards.Train.Records), len(shards.Test.Records), shards.ClassNames)
	}
	for i, r := range shards.Train.Records {
		if want := ix.Records[i]; r.Offset != want.Offset || r.Length != want.Length || r.Label != want.Label || l.Train.Records[i].Label != r.Label {
			t.Errorf("image %d: listed %+v, made %+v", i, r, want)
		}
	}
}

// An image that is not larger keeps its file in JPEG shards, to the byte.
func TestPreparedSmall(t *testing.T) {
	file := drawn(t, 3, 40, "png")
	root := writeTree(t, map[string][]byte{"train/a/1.png": file, "val/a/1.png": file})
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ix, _, err := Prepare(t.Context(), l.Train, root, dir, t.TempDir(), Preparation{Side: 100}, SurveyOptions{Report: func(int) {}})
	if err != nil {
		t.Fatal(err)
	}
	shard, err := os.ReadFile(filepath.Join(dir, ix.Files[0]))
	if err != nil || !bytes.Equal(shard[ix.Records[0].Offset:][:ix.Records[0].Length], file) || !strings.Contains(string(shard), "00000000.png") {
		t.Errorf("the file is another one: %v", err)
	}
}

// BenchmarkRead measures what a split reads and decodes, of photographs of 500×375 pixels and
// of what Prepare makes of them, with and without a look at each image's digest.
func BenchmarkRead(b *testing.B) {
	root := os.Getenv("PHOTOS")
	if root == "" {
		b.Skip("PHOTOS names no tree of images")
	}
	l, err := ListFolder(b.Context(), root, 3, upright)
	if err != nil {
		b.Fatal(err)
	}
	o := SurveyOptions{Digests: true, Report: func(int) {}}
	if _, err := Survey(b.Context(), l.Train, root, o); err != nil {
		b.Fatal(err)
	}
	plain := l.Train.Keep(func(int) bool { return true })
	for i := range plain.Records {
		plain.Records[i].Digest = [32]byte{}
	}
	read := func(name string, ix Index, root string) {
		b.Run(name, func(b *testing.B) {
			s, err := newSplit(ix, root, []float64{0, 0, 0}, []float64{1, 1, 1})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var batch Batch
			i := 0
			for b.Loop() {
				if err := s.Batch(b.Context(), []int{i % s.Len()}, View{Resolution: 224}, &batch); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
	read("original", plain, root)
	read("original, checked", l.Train, root)
	for _, p := range []Preparation{{Side: 256}, {Side: 256, Format: RawPixels}} {
		dir := b.TempDir()
		ix, _, err := Prepare(b.Context(), plain, root, dir, b.TempDir(), p, o)
		if err != nil {
			b.Fatal(err)
		}
		read(fmt.Sprintf("prepared %s", p.Format), ix, dir)
	}
}
