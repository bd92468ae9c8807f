package picture

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is read of the seeds")

// What is read of a file never changes, whatever the machine and the version of Go: sets
// that were made stand for it. (The seeds are of testdata/pillow.py, and Pillow agrees.)
func TestBitsStay(t *testing.T) {
	var b strings.Builder
	seeds, err := filepath.Glob("testdata/seeds/*")
	if err != nil {
		t.Fatal(err)
	}
	var d Decoder
	for _, path := range seeds {
		for _, o := range []Orientation{Upright, Stored} {
			img, err := d.Decode(t.Context(), read(t, path), 3, Reading{Orientation: o})
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			fmt.Fprintf(&b, "%-16s %-8s %2d×%d %x\n", filepath.Base(path), o, img.Width, img.Height, sha256.Sum256(img.Pix))
		}
	}
	const golden = "testdata/seeds.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, golden)); b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
