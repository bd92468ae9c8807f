package examples_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// photos are JPEGs of 320×320: blots of one of two hues. Some are corrupt.
const (
	photos  = 1200
	side    = 320
	decoded = photos * side * side * 3 // bytes
	bound   = 256 << 20                // bytes that the runner may take, less than decoded
)

// corrupt reports whether photo i is cut off, or no image at all.
func corrupt(i int) bool { return i%400 == 7 || i%400 == 208 }

// photo draws photo i, which is of class i mod 2.
func photo(t *testing.T, i int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			v := uint8((x*(i%7+1) + y*(i%5+1)) / 8)
			c := color.RGBA{v, 60, 255 - v, 255}
			if i%2 == 0 {
				c = color.RGBA{60, v, 255 - v, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	switch {
	case corrupt(i) && i%2 == 0:
		return b.Bytes()[:b.Len()/2]
	case corrupt(i):
		return []byte("this is no JPEG")
	}
	return b.Bytes()
}

// part says where photo i goes: every sixth is a test image.
func part(i int) string {
	if i%6 == 0 {
		return "val"
	}
	return "train"
}

func writeFolder(t *testing.T, root string) {
	for i := range photos {
		dir := filepath.Join(root, part(i), fmt.Sprintf("class%d", i%2))
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("photo%04d.jpg", i)), photo(t, i), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func writeShards(t *testing.T, root string) {
	for shard := range 4 {
		for _, p := range []string{"train", "val"} {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			add := func(name string, content []byte) {
				if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(content); err != nil {
					t.Fatal(err)
				}
			}
			for i := shard; i < photos; i += 4 {
				if part(i) == p {
					add(fmt.Sprintf("photo%04d.jpg", i), photo(t, i))
					add(fmt.Sprintf("photo%04d.cls", i), fmt.Append(nil, i/4%2))
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(root, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("%s-%04d.tar", p, shard)), b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

const treeRecipe = `
stage "dataset" "photos" {
  source  = "%s"
  path    = "%s"
  corrupt = "skip"
}

stage "train-supernet" "supernet" {
  dataset = stage.photos.dataset
  space = {
    backbone = {
      input   = 3
      stem    = { channels = 8, kernel = 3, stride = 2 }
      groups  = [{ t = 1, c = 8, n = 1, s = 1 }, { t = 6, c = 16, n = 2, s = 2 }]
      head    = 32
      classes = 2
    }
    widths      = [1, 1, 1, 1]
    resolutions = [32, 48]
    expansions  = [2, 3]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
  epochs      = 1
  calibration = 100
  augment     = { crop = 0.5, flip = true, jitter = 0.2 }
}

output "steps" {
  value = stage.supernet.steps
}
`

// Trees and shards of JPEGs that are larger, decoded, than the memory bound are
// trained on within it, and the corrupt images are named.
func TestTreesLargerThanMemory(t *testing.T) {
	if decoded <= bound {
		t.Fatal("the data would fit")
	}
	bin := filepath.Join(t.TempDir(), "runner")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/runner").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for source, write := range map[string]func(*testing.T, string){"imagefolder": writeFolder, "webdataset": writeShards} {
		t.Run(source, func(t *testing.T) {
			dir := t.TempDir()
			tree, recipe := filepath.Join(dir, "photos"), filepath.Join(dir, "tree.hcl")
			write(t, tree)
			if err := os.WriteFile(recipe, fmt.Appendf(nil, treeRecipe, source, tree), 0o666); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(bin, "run", recipe)
			start := time.Now()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for i := range photos {
				if name := fmt.Sprintf("photo%04d.jpg", i); strings.Contains(string(out), name) != corrupt(i) {
					t.Errorf("%s is corrupt: %v; named: %v\n%s", name, corrupt(i), !corrupt(i), out)
				}
			}
			if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
				peak := int(u.Maxrss) << 10
				t.Logf("%d MiB of images in %d MiB of memory, %v", decoded>>20, peak>>20, time.Since(start))
				if peak > bound {
					t.Errorf("the runner took %d MiB, want at most %d", peak>>20, bound>>20)
				}
			}
		})
	}
}
