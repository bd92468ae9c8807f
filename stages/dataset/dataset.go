// Package dataset is the stage that makes a labelled image set: Fashion-MNIST
// or another set of IDX files, read from a directory or downloaded; or the
// shapes that Eyrie draws itself. What comes out is a [data.Set], the handle that
// training and search take.
package dataset

import (
	"cmp"
	"context"
	"slices"

	"eyrie/artifacts"
	"eyrie/nas/data"
	"eyrie/nas/data/picture"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the dataset stage.
var Stage = pipeline.Define("dataset", 3,
	`Makes a labelled image set for training and search.

source = "fashion-mnist": Zalando's Fashion-MNIST (60,000 + 10,000 grey images of
28×28 pixels, 10 classes), from its four IDX files in the directory path, or
downloaded, from url or its home, where the SHA-256 of each file is known.

source = "idx": any set in MNIST's four files, from path, or from url with
sha256 naming each file's digest. A file that is there with and without .gz must hold
the same both times.

source = "imagefolder": image files in path/train/CLASS/ and path/test/CLASS/
(or val, validation, valid), and in folders there; links are followed.

source = "webdataset": tar shards of image files with their labels (.cls)
in path/train/ and path/test/ (or val …), or called train*.tar and test*.tar.
The lines of path/classes.txt name the classes.

Image files are those called .jpg, .jpeg, .png, .webp, .bmp, .tif, .tiff, .ppm, .pgm
(as torchvision has it) or .gif; what is in them counts, not the name. Their pixels are
those of Pillow's ImageOps.exif_transpose(image).convert("RGB"), or "L" for one channel:
turned upright, transparency dropped and the colour below it kept, the first frame of
several. So grey with 16 bits is white from 255 on (which is logged) unless sixteen_bit =
"scaled". What Pillow reads and the stage cannot is an error: arithmetic-coded JPEG, TIFF
with samples of 32 bits or fractions, in YCbCr or CIELAB or packed with Zstandard or LZMA,
damaged files, and more than 64 million pixels. Files that are no images, and hidden ones,
are left out: left_out and the log say how many and name the first.

The stage decodes each image of a tree once, to know the mean and to find what is
corrupt. Images may differ in size: a network sees the square in the middle, resized to
its resolution (bilinear when enlarging, area averaging when reducing, as Pillow's resize
with BILINEAR and a box).

keep = "reference" is for trees that are too large to copy: the store keeps their list of
files and the SHA-256 of each image, and the images are read in path. One that is gone or
not what the step read is an error that names it. A tree that was moved reruns nothing.

prepare = { side = 256 } makes every image smaller once, so that its shorter side is 256
pixels, and keeps them in tar shards in the store: as JPEG files of quality 95 with the
bytes that Pillow writes, or with format = "raw" as pixels. Smaller images stay as they
are. Mean and deviation are those of the smaller images. What follows reads the shards
alone; with keep = "reference" the tree is never copied.

source = "shapes": discs, triangles and squares, small and large, warm and cool
(12 classes), drawn from a seed at any size; needs no data.`,
	Config{}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Source      Source              `json:"source" doc:"where the images come from"`
	Name        string              `json:"name,omitempty" doc:"what to call the set; the source by default"`
	Train       int                 `json:"train,omitempty" min:"0" doc:"how many training images: at most, evenly spaced over the files (0 for all); of shapes, how many to draw (0 for 6000)"`
	Test        int                 `json:"test,omitempty" min:"0" doc:"how many test images: as train (of shapes, 0 for 1200)"`
	Path        *artifacts.File     `json:"path" is:"dir" doc:"files: the directory in which they lie"`
	URL         string              `json:"url,omitempty" key:"-" doc:"files: the address (http or https) under which to download them instead"`
	SHA256      map[string]string   `json:"sha256,omitempty" doc:"idx with url: file name → SHA-256 of the file as it is downloaded, in hexadecimal"`
	ClassNames  []string            `json:"class_names,omitempty" doc:"idx: name of each class, in the order of the labels; by default their numbers"`
	Channels    int                 `json:"channels,omitempty" doc:"imagefolder, webdataset: 3 for RGB (the default) or 1 for grey"`
	Orientation picture.Orientation `json:"orientation,omitempty" doc:"imagefolder, webdataset: upright turns and mirrors images as their EXIF (or TIFF or XMP) says (the default); stored leaves them as their pixels lie in the file"`
	SixteenBit  picture.SixteenBit  `json:"sixteen_bit,omitempty" doc:"imagefolder, webdataset: of grey with more than 8 bits, clipped makes what is above 255 white, as Pillow's convert does (the default, with a warning that names such images); scaled keeps the upper 8 bits"`
	Keep        Keep                `json:"keep,omitempty" doc:"imagefolder, webdataset: copy the tree into the store (the default), or reference it: the store keeps the digest of each image, and the images are read in path and checked as they are read"`
	Prepare     *data.Preparation   `json:"prepare,omitempty" doc:"imagefolder, webdataset: make every image smaller once, into shards in the store that training decodes fast"`
	Corrupt     Corrupt             `json:"corrupt,omitempty" doc:"imagefolder, webdataset: what to do with images that cannot be decoded: fail and name them (the default), or go on without them, with a warning each"`
	Size        int                 `json:"size,omitempty" min:"0" max:"4096" doc:"shapes: side of the images in pixels (0 for 32)"`
	Noise       *float64            `json:"noise" min:"0" max:"1" doc:"shapes: amplitude of the noise in parts of white (0.1 by default)"`
	Seed        uint32              `json:"seed,omitempty" doc:"shapes: another seed draws other images"`
}

// Source is where the images come from.
type Source string

// The sources.
const (
	fashion Source = "fashion-mnist"
	idx     Source = "idx"
	folder  Source = "imagefolder"
	tars    Source = "webdataset"
	shapes  Source = "shapes"
)

// Choices returns the sources.
func (Source) Choices() []string {
	return []string{string(fashion), string(idx), string(folder), string(tars), string(shapes)}
}

// Corrupt is what to do with images that cannot be decoded; fail where it is not written.
type Corrupt string

// The answers to corrupt images.
const (
	fail Corrupt = "fail" // and name them
	skip Corrupt = "skip" // go on without them, with a warning each
)

// Choices returns the answers.
func (Corrupt) Choices() []string { return []string{string(fail), string(skip)} }

// Keep is where the images of a tree are kept; copied where it is not written.
type Keep string

// The ways to keep images.
const (
	copied     Keep = "copy"
	referenced Keep = "reference"
)

// Choices returns the ways to keep images.
func (Keep) Choices() []string { return []string{string(copied), string(referenced)} }

// References returns the tree, if it is to be read where it lies.
func (c Config) References() map[string]artifacts.File {
	if c.Keep != referenced || c.Path == nil {
		return nil
	}
	return map[string]artifacts.File{"path": *c.Path}
}

// Output is what the block's references yield.
type Output struct {
	Dataset data.Set       `json:"dataset" doc:"the handle that train-supernet and evolve take"`
	Preview artifacts.File `json:"preview" doc:"a PNG to look at: a row of training images for each class"`
	Corrupt []string       `json:"corrupt" doc:"the images that were left out as corrupt, each with the reason"`
	LeftOut data.LeftOut   `json:"left_out" doc:"the files of a tree that are no images of the set"`
}

// Check reports attributes that do not belong to the source, and a source that lacks
// what it takes.
func (c Config) Check(r *mistake.Report) {
	if !r.Knows("source") {
		return
	}
	files, trees, drawn := []Source{fashion, idx}, []Source{folder, tars}, []Source{shapes}
	for _, a := range []struct {
		name    string
		written bool
		sources []Source
	}{
		{"path", c.Path != nil, slices.Concat(files, trees)},
		{"url", c.URL != "", files},
		{"sha256", len(c.SHA256) > 0, []Source{idx}},
		{"class_names", len(c.ClassNames) > 0, []Source{idx}},
		{"channels", c.Channels != 0, trees},
		{"orientation", c.Orientation != "", trees},
		{"sixteen_bit", c.SixteenBit != "", trees},
		{"corrupt", c.Corrupt != "", trees},
		{"keep", c.Keep != "", trees},
		{"prepare", c.Prepare != nil, trees},
		{"size", c.Size != 0, drawn},
		{"noise", c.Noise != nil, drawn},
		{"seed", c.Seed != 0, drawn},
	} {
		if r.Knows(a.name) && a.written && !slices.Contains(a.sources, c.Source) {
			r.At(a.name).Badf("belongs to source = %s, not to %q: remove it or change the source", mistake.Quoted("or", a.sources...), c.Source)
		}
	}
	if r.Written("path") && r.Written("url") {
		r.At("url").Badf("write either path (files that are there) or url (files to download), not both")
	}
	if slices.Contains(trees, c.Source) && r.Absent("path") {
		r.At("path").Badf("source = %q needs the directory with the images here", c.Source)
	}
	if r.Knows("channels") && r.At("channels").Sound() && c.Channels != 0 && c.Channels != 1 && c.Channels != 3 {
		r.At("channels").Badf("want 1 (grey) or 3 (RGB), not %d", c.Channels)
	}
	if p := c.Prepare; p != nil && r.Knows("prepare.format", "prepare.quality") && p.Format == data.RawPixels && p.Quality != 0 {
		r.At("prepare", "quality").Badf(`is for format = "jpeg": pixels are kept as they are`)
	}
	if r.Knows("size") && r.At("size").Sound() && c.Size != 0 && c.Size < 8 {
		r.At("size").Badf("shapes cannot be told apart in %d pixels: want 8 or more", c.Size)
	}
	c.checkFiles(r)
}

// checkFiles reports files that are neither here nor to be had.
func (c Config) checkFiles(r *mistake.Report) {
	url := r.Written("url")
	switch {
	case c.Source == idx && r.Absent("path") && r.Absent("url"):
		r.At("path").Badf(`source = "idx" needs the directory with the files here, or url to download them`)
	case c.Source == idx && r.Absent("url") && r.Written("sha256"):
		r.At("sha256").Badf("is for downloads; files at path are known by their content anyway")
	case c.Source == idx && url:
		checkDownload(r, c.URL, c.SHA256)
	case c.Source == fashion && url:
		checkDownload(r, c.URL, fashionSums)
	}
}

// Foresee returns the number of channels of the set and, where they follow from the
// attributes, its classes, size and number of images.
func (c Config) Foresee(knows func(paths ...string) bool) pipeline.Partial {
	if !knows("source") {
		return nil
	}
	set := pipeline.Partial{}
	if knows("name") {
		set["name"] = cmp.Or(c.Name, string(c.Source))
	}
	switch c.Source {
	case shapes:
		set["classes"], set["class_names"], set["channels"] = len(data.ShapeClasses()), data.ShapeClasses(), 3
		if knows("size") {
			set["size"] = cmp.Or(c.Size, shapeSize)
		}
		if knows("train") {
			set["train"] = pipeline.Partial{"count": cmp.Or(c.Train, shapeTrain)}
		}
	case fashion:
		set["classes"], set["class_names"], set["channels"] = len(fashionClasses), fashionClasses, 1
	case idx:
		set["channels"] = 1
		if knows("class_names") && len(c.ClassNames) > 0 {
			set["classes"], set["class_names"] = len(c.ClassNames), c.ClassNames
		}
	case folder, tars:
		if knows("channels") {
			set["channels"] = cmp.Or(c.Channels, 3)
		}
	}
	return pipeline.Partial{"dataset": set}
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	var out Output
	var err error
	switch c.Source {
	case shapes:
		out.Dataset, err = drawShapes(ctx, task, c)
	case folder, tars:
		out.Dataset, out.Corrupt, out.LeftOut, err = readTree(ctx, task, c)
	default:
		out.Dataset, err = readFiles(ctx, task, c)
	}
	if err != nil {
		return Output{}, err
	}
	out.Dataset.Name = cmp.Or(c.Name, string(c.Source))
	out.Preview, err = drawPreview(ctx, task, out.Dataset)
	return out, err
}

// readFiles reads a set of IDX files, which it downloads where there is no path.
func readFiles(ctx context.Context, task *pipeline.Task, c Config) (data.Set, error) {
	if c.Source == fashion {
		c.ClassNames, c.SHA256 = fashionClasses, fashionSums
		c.URL = cmp.Or(c.URL, fashionURL)
	}
	if c.Path == nil {
		dir, err := download(ctx, task, c.URL, c.SHA256)
		if err != nil {
			return data.Set{}, err
		}
		c.Path = &artifacts.File{Path: dir, Tree: true}
	}
	return readIDX(ctx, task, c)
}

// picked reports whether image i of n is among the limit that are kept, evenly
// spaced, so that a few images of a sorted set are of all classes.
func picked(i, n, limit int) bool {
	return limit == 0 || limit >= n || (i+1)*limit/n > i*limit/n
}
