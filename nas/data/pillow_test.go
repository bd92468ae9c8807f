package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"eyrie/nas/data/picture/picturetest"
)

// What a network sees of a tree of images is what Pillow reads, cut square and resized:
// within 2 of 255, for every format, mode and orientation, larger and smaller.
func TestBatchesAsPillow(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "train/a")
	for _, d := range []string{dir, filepath.Join(root, "val/a")} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "val/a/1.png"), drawn(t, 1, 8, "png"), 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(picturetest.Python(t), "picture/testdata/pillow.py", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSplit(l.Train, root, []float64{0, 0, 0}, []float64{1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[string]int)
	for i, name := range l.TrainNames {
		at[filepath.Base(name)] = i
	}
	var b Batch
	compared := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var made struct{ Name string }
		if err := json.Unmarshal(lines.Bytes(), &made); err != nil {
			t.Fatal(err)
		}
		i, ok := at[made.Name]
		if !ok {
			if filepath.Ext(made.Name) != ".pbm" { // torchvision leaves it out, too
				t.Errorf("%s is not listed", made.Name)
			}
			continue
		}
		for _, side := range []int{1, 7, 32} {
			if err := s.Batch(t.Context(), []int{i}, View{Resolution: side}, &b); err != nil {
				t.Error(err)
				break
			}
			want, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s.%d.rgb", made.Name, side)))
			if err != nil {
				t.Fatal(err)
			}
			for p, v := range b.X {
				if by := max(v*255-float32(want[p]), float32(want[p])-v*255); by > 2 {
					t.Errorf("%s to %d: pixel (%d, %d) differs by %v", made.Name, side, p/3%side, p/3/side, by)
					break
				}
			}
			compared++
		}
	}
	t.Logf("%d images", compared)
}
