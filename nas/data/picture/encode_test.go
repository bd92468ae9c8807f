package picture

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"eyrie/nas/data/picture/picturetest"
)

// drawn returns an image with areas, edges and noise.
func drawn(w, h, channels int) Image {
	r := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	img := Image{Width: w, Height: h, Channels: channels, Pix: make([]byte, w*h*channels)}
	for i := range img.Pix {
		x, y, c := i/channels%w, i/channels/w, i%channels
		img.Pix[i] = byte(x*255/w*(c+1) + y*(3-c))
		if x > w/2 && y > h/3 {
			img.Pix[i] = byte(40 + 90*c)
		}
		if r.IntN(9) == 0 {
			img.Pix[i] = byte(r.IntN(256))
		}
	}
	return img
}

// A JPEG file that is written is the very file that Pillow writes of the same pixels, in every
// size, in colour and in grey, for every quality.
func TestWritesAsPillow(t *testing.T) {
	dir := t.TempDir()
	const script = `import sys
from PIL import Image
for line in sys.stdin:
    name, mode, width, height, quality = line.split()
    pixels = open(name, "rb").read()
    Image.frombytes(mode, (int(width), int(height)), pixels).save(name + ".jpg", quality=int(quality))
`
	var list bytes.Buffer
	type made struct {
		name    string
		img     Image
		quality int
	}
	var all []made
	for _, size := range [][2]int{{1, 1}, {7, 2}, {8, 8}, {9, 17}, {16, 16}, {17, 9}, {24, 33}, {41, 40}, {101, 63}} {
		for _, channels := range []int{1, 3} {
			for _, quality := range []int{1, 30, 49, 50, 75, 95, 100} {
				m := made{filepath.Join(dir, fmt.Sprintf("%dx%d.%d.%d", size[0], size[1], channels, quality)), drawn(size[0], size[1], channels), quality}
				all = append(all, m)
				if err := os.WriteFile(m.name, m.img.Pix, 0o666); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintln(&list, m.name, map[int]string{1: "L", 3: "RGB"}[channels], size[0], size[1], quality)
			}
		}
	}
	cmd := exec.Command(picturetest.Python(t), "-c", script)
	cmd.Stdin, cmd.Stderr = &list, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if want := read(t, m.name+".jpg"); !bytes.Equal(m.img.AppendJPEG(nil, m.quality), want) {
			t.Errorf("%s: another file than Pillow's", filepath.Base(m.name))
		}
	}
}

// A PPM or PGM file that is written reads as the same pixels.
func TestWritesPNM(t *testing.T) {
	var d Decoder
	for _, channels := range []int{1, 3} {
		img := drawn(13, 7, channels)
		file := img.AppendPNM(nil)
		got, err := d.Decode(t.Context(), file, channels, Reading{})
		if err != nil || got.Width != 13 || got.Height != 7 || !bytes.Equal(got.Pix, img.Pix) {
			t.Errorf("%d channels: %v", channels, err)
		}
		if Extension(file) != ".ppm" {
			t.Errorf("taken for %s", Extension(file))
		}
	}
}

func BenchmarkAppendJPEG(b *testing.B) {
	img := drawn(341, 256, 3)
	var file []byte
	for b.Loop() {
		file = img.AppendJPEG(file[:0], 95)
	}
}
