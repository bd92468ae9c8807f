package dataset

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"eyrie/nas/data"
	"eyrie/pipeline"
)

// Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv 1708.07747): its home, its
// files' SHA-256, and its classes in the order of the labels.
const fashionURL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

var fashionSums = map[string]string{
	"train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
	"train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
	"t10k-images-idx3-ubyte.gz":  "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
	"t10k-labels-idx1-ubyte.gz":  "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}

var fashionClasses = []string{
	"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
	"Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
}

// maxImages bounds what a part may hold, and so what its labels take in memory.
const maxImages = 1 << 27

// readIDX reads the four files in the directory c.Path.
func readIDX(ctx context.Context, task *pipeline.Task, c Config) (data.Set, error) {
	dir := c.Path.Path
	if st, err := os.Stat(dir); err != nil {
		return data.Set{}, pipeline.Badf("path", "%w", err)
	} else if !st.IsDir() {
		return data.Set{}, pipeline.Badf("path", "%s is a file: give the directory in which the four files lie", dir)
	}
	train, err := openPart(ctx, dir, "train")
	if err != nil {
		return data.Set{}, err
	}
	defer train.close()
	test, err := openPart(ctx, dir, "t10k")
	if err != nil {
		return data.Set{}, err
	}
	defer test.close()
	if train.images.Dims[1] != test.images.Dims[1] || train.images.Dims[2] != test.images.Dims[2] {
		return data.Set{}, fmt.Errorf("%s: images of %v pixels, but the training images have %v", test.imagesName, test.images.Dims[1:], train.images.Dims[1:])
	}
	names := c.ClassNames
	if len(names) == 0 {
		for i := range 1 + max(slices.Max(train.labels), slices.Max(test.labels)) {
			names = append(names, strconv.Itoa(int(i)))
		}
	}
	set := data.Set{Classes: len(names), ClassNames: names, Channels: 1}
	if h, w := train.images.Dims[1], train.images.Dims[2]; h == w {
		set.Size = h
	}
	var stats data.Stats
	if set.Train, stats, err = train.convert(ctx, task, "train", len(names), c.Train); err != nil {
		return set, err
	}
	if set.Test, _, err = test.convert(ctx, task, "test", len(names), c.Test); err != nil {
		return set, err
	}
	set.Mean, set.Std = stats.MeanStd()
	return set, nil
}

// idxPart is an opened pair of files.
type idxPart struct {
	imagesName, labelsName string
	file                   *os.File
	images                 *data.IDX
	labels                 []byte
}

func openPart(ctx context.Context, dir, stem string) (*idxPart, error) {
	var p idxPart
	var err error
	if p.imagesName, err = find(ctx, dir, stem+"-images", 3); err != nil {
		return nil, err
	}
	if p.labelsName, err = find(ctx, dir, stem+"-labels", 1); err != nil {
		return nil, err
	}
	if p.labels, err = readLabels(ctx, filepath.Join(dir, p.labelsName)); err != nil {
		return nil, fmt.Errorf("%s: %w", p.labelsName, err)
	}
	if p.file, err = os.Open(filepath.Join(dir, p.imagesName)); err != nil {
		return nil, err
	}
	if p.images, err = data.OpenIDX(p.file, 3); err != nil {
		p.close()
		return nil, fmt.Errorf("%s: %w", p.imagesName, err)
	}
	if n := p.images.Len(); n != len(p.labels) || n == 0 {
		p.close()
		return nil, fmt.Errorf("%w: %d images in %s, %d labels in %s", data.ErrCount, n, p.imagesName, len(p.labels), p.labelsName)
	}
	return &p, nil
}

func (p *idxPart) close() { p.file.Close() }

// find returns the name under which the directory has the file. It may be there packed and
// unpacked, as torchvision leaves it, if both hold the same.
func find(ctx context.Context, dir, stem string, dims int) (string, error) {
	base := fmt.Sprintf("%s-idx%d-ubyte", stem, dims)
	names := []string{base + ".gz", base, strings.Replace(base, "-idx", ".idx", 1)}
	var found []string
	for _, name := range names {
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil && st.Mode().IsRegular() {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return "", pipeline.Badf("path", "%s has no file %s (nor %s)", dir, names[0], strings.Join(names[1:], ", "))
	}
	for _, other := range found[1:] {
		if same, err := sameItems(ctx, filepath.Join(dir, found[0]), filepath.Join(dir, other), dims); err != nil {
			return "", err
		} else if !same {
			return "", pipeline.Badf("path", "%s and %s in %s differ: remove one", found[0], other, dir)
		}
	}
	return found[0], nil
}

// sameItems reports whether two IDX files hold the same.
func sameItems(ctx context.Context, a, b string, dims int) (bool, error) {
	var files [2]*data.IDX
	for i, path := range []string{a, b} {
		f, err := os.Open(path)
		if err != nil {
			return false, err
		}
		defer f.Close()
		if files[i], err = data.OpenIDX(f, dims); err != nil {
			return false, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	if !slices.Equal(files[0].Dims, files[1].Dims) {
		return false, nil
	}
	left, right := make([]byte, files[0].ItemSize()), make([]byte, files[1].ItemSize())
	for i := range files[0].Len() {
		if i%1000 == 0 && ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err := files[0].Next(left); err != nil {
			return false, fmt.Errorf("%s: %w", filepath.Base(a), err)
		}
		if err := files[1].Next(right); err != nil {
			return false, fmt.Errorf("%s: %w", filepath.Base(b), err)
		}
		if !bytes.Equal(left, right) {
			return false, nil
		}
	}
	return true, nil
}

func readLabels(ctx context.Context, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x, err := data.OpenIDX(f, 1)
	if err != nil {
		return nil, err
	}
	if x.Len() > maxImages {
		return nil, fmt.Errorf("%d labels: %w (at most %d)", x.Len(), data.ErrTooLarge, maxImages)
	}
	var labels []byte
	for b := make([]byte, 1); ; {
		if len(labels)%1000 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := x.Next(b); err == io.EOF {
			return labels, nil
		} else if err != nil {
			return nil, err
		}
		labels = append(labels, b[0])
	}
}

// convert writes the part in its stored form.
func (p *idxPart) convert(ctx context.Context, task *pipeline.Task, name string, classes, limit int) (part data.Part, stats data.Stats, err error) {
	n := p.images.Len()
	w, err := data.Create(task.Path(name), p.images.Dims[1], p.images.Dims[2], 1, classes)
	if err != nil {
		return part, stats, fmt.Errorf("%s: %w", p.imagesName, err)
	}
	defer w.Abort()
	img := make([]byte, p.images.ItemSize())
	for i := 0; ; i++ {
		if err := p.images.Next(img); err == io.EOF {
			break
		} else if err != nil {
			return part, stats, fmt.Errorf("%s: %w", p.imagesName, err)
		}
		if int(p.labels[i]) >= classes {
			return part, stats, fmt.Errorf("%s: item %d: label %d, but there are %d classes", p.labelsName, i, p.labels[i], classes)
		}
		if picked(i, n, limit) {
			if err := w.Add(img, int(p.labels[i])); err != nil {
				return part, stats, err
			}
		}
		if ctx.Err() != nil {
			return part, stats, context.Cause(ctx)
		}
		if i%1000 == 0 {
			task.Report(pipeline.Progress{Done: float64(i), Total: float64(n), Unit: "images", Note: "reading " + name})
		}
	}
	part, err = w.Close()
	return part, w.Stats, err
}
