package picture

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"eyrie/nas/data/picture/picturetest"
)

// made is a file that Pillow made, and the size of what it reads there.
type made struct {
	Name          string
	Width, Height int
	Error         string
}

// pillow returns files that Pillow made in dir. Without Pillow the test is skipped,
// except under CI, where it fails.
func pillow(t testing.TB, dir string) (files []made) {
	t.Helper()
	cmd := exec.Command(picturetest.Python(t), "testdata/pillow.py", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var m made
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		files = append(files, m)
	}
	return files
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is read of a file is what Pillow reads there: every format, mode and
// orientation, in colour and in grey.
func TestReadsAsPillow(t *testing.T) {
	dir := t.TempDir()
	var d Decoder
	deep := 0 // files of 16 bits
	for _, m := range pillow(t, dir) {
		file := read(t, filepath.Join(dir, m.Name))
		for suffix, channels := range map[string]int{".rgb": 3, ".grey": 1} {
			img, err := d.Decode(t.Context(), file, channels, Reading{Orientation: Upright})
			if err != nil || m.Error != "" {
				t.Errorf("%s: %v; Pillow: %q", m.Name, err, m.Error)
				break
			}
			if img.Width != m.Width || img.Height != m.Height {
				t.Errorf("%s: %d×%d pixels, Pillow reads %d×%d", m.Name, img.Width, img.Height, m.Width, m.Height)
				continue
			}
			want := read(t, filepath.Join(dir, m.Name+suffix))
			for i, v := range img.Pix {
				if by := max(int(v)-int(want[i]), int(want[i])-int(v)); by > 0 {
					t.Errorf("%s: pixel (%d, %d) differs by %d", m.Name+suffix, i/channels%m.Width, i/channels/m.Width, by)
					break
				}
			}
		}
		scaled, err := os.ReadFile(filepath.Join(dir, m.Name+".scaled"))
		if err != nil {
			continue // it has 8 bits
		}
		deep++
		img, err := d.Decode(t.Context(), file, 1, Reading{SixteenBit: Scaled})
		if err != nil || img.Clipped || !close8(img.Pix, scaled) {
			t.Errorf("%s, scaled: %v, clipped: %v", m.Name, err, img.Clipped)
		}
	}
	if deep < 20 {
		t.Errorf("%d files of 16 bits", deep)
	}
}

// close8 reports whether levels differ by 1 at most.
func close8(a, b []byte) bool {
	for i, v := range a {
		if d := int(v) - int(b[i]); d < -1 || d > 1 {
			return false
		}
	}
	return len(a) == len(b)
}
