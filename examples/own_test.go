package examples_test

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/own.md is a recipe that runs as it stands, formatted, on images and
// measurements of one's own.
func TestOwn(t *testing.T) {
	doc, err := os.ReadFile("../docs/own.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for language, name := range map[string]string{"hcl": "my.hcl", "csv": "board.csv"} {
		var blocks []string
		for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(doc, -1) {
			blocks = append(blocks, string(m[1]))
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(blocks, "\n")), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		part := []string{"train", "test"}[i%5/4]
		draw(t, filepath.Join(dir, "images", part, fmt.Sprint(i%3), fmt.Sprintf("%d.png", i)), i)
	}
	run, recipe := runner(t), filepath.Join(dir, "my.hcl")
	run("fmt", "--check", recipe)
	run("run", recipe)
	if fit := run("output", recipe, "fit"); !strings.Contains(fit, "5 values of 5 networks") || strings.Contains(fit, "no fit") {
		t.Errorf("the fit: %s", fit)
	}
	if info, err := os.Stat(strings.TrimSpace(run("output", recipe, "onnx"))); err != nil || info.Size() == 0 {
		t.Errorf("the exported network: %v", err)
	}
}

// draw makes an image, brighter in one of its channels, which is its class.
func draw(t *testing.T, path string, i int) {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 30+i%7, 34))
	for y := range 34 {
		for x := range 30 + i%7 {
			c := [3]uint8{uint8(x * y * i), uint8(x + y*i), uint8(x*i + y)}
			c[i%3] = 255
			img.SetNRGBA(x, y, color.NRGBA{c[0], c[1], c[2], 255})
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}
