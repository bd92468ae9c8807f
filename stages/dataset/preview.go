package dataset

import (
	"context"
	"image"
	"image/color"
	"image/png"
	"os"

	"eyrie/artifacts"
	"eyrie/nas/data"
	"eyrie/pipeline"
)

// The size of the preview.
const (
	previewRows = 32 // classes at most
	previewCols = 10 // images of each at most
	previewSide = 64 // pixels
)

// drawPreview draws the first training images of each class, as the loader
// shows them to a network.
func drawPreview(ctx context.Context, task *pipeline.Task, set data.Set) (artifacts.File, error) {
	train, test, err := data.Open(set)
	if err != nil {
		return artifacts.File{}, err
	}
	defer train.Close()
	defer test.Close()
	rows := min(set.Classes, previewRows)
	sheet := image.NewRGBA(image.Rect(0, 0, previewCols*previewSide, rows*previewSide))
	var b data.Batch
	seen := make([]int, set.Classes)
	for i := range train.Len() {
		row := train.Label(i)
		col := seen[row]
		seen[row]++
		if row >= rows || col >= previewCols {
			continue
		}
		if err := train.Batch(ctx, []int{i}, data.View{Resolution: previewSide}, &b); err != nil {
			return artifacts.File{}, err
		}
		paste(sheet, col*previewSide, row*previewSide, &b, set)
	}
	path := task.Path("preview.png")
	f, err := os.Create(path)
	if err != nil {
		return artifacts.File{}, err
	}
	defer f.Close()
	if err := png.Encode(f, sheet); err != nil {
		return artifacts.File{}, err
	}
	return artifacts.Local(path), f.Close()
}

// paste undoes the normalisation and draws the image.
func paste(sheet *image.RGBA, x0, y0 int, b *data.Batch, set data.Set) {
	level := func(p, c int) uint8 {
		c = min(c, b.C-1)
		v := float64((float64(float64(b.X[p*b.C+c])*set.Std[c]) + set.Mean[c]) * 255)
		return uint8(min(255, max(0, v+0.5)))
	}
	for p := range b.H * b.W {
		sheet.SetRGBA(x0+p%b.W, y0+p/b.W, color.RGBA{level(p, 0), level(p, 1), level(p, 2), 255})
	}
}
