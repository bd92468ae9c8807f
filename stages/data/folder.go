package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Listing is what a tree of images holds, before anyone has looked into the
// images themselves.
type Listing struct {
	Train, Test           Index
	TrainNames, TestNames []string // what to call each image in a message
	ClassNames            []string
}

// testFolders are the names under which the test images of a tree may lie.
var testFolders = []string{"test", "val", "validation", "valid"}

// ListFolder lists an ImageFolder tree: root/train/CLASS/…/IMAGE and the same
// under test, val, validation or valid. Classes are numbered in the order of
// their names. JPEG and PNG files count, in any case of letters; other files
// and hidden ones are left out.
func ListFolder(root string, channels int) (Listing, error) {
	var l Listing
	entries, err := os.ReadDir(filepath.Join(root, "train"))
	if err != nil {
		return l, fmt.Errorf("an ImageFolder tree has its training images in train/CLASS/: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !hidden(e.Name()) {
			l.ClassNames = append(l.ClassNames, e.Name())
		}
	}
	if len(l.ClassNames) == 0 {
		return l, errors.New("train has no folder: each class is a folder of images")
	}
	test, err := testFolder(root)
	if err != nil {
		return l, err
	}
	h := Header{Encoding: Encoded, Channels: channels, Classes: len(l.ClassNames)}
	if l.Train, err = listPart(root, "train", h, l.ClassNames); err != nil {
		return l, err
	}
	taught := make([]bool, len(l.ClassNames))
	for _, r := range l.Train.Records {
		taught[r.Label] = true
	}
	if i := slices.Index(taught, false); i >= 0 {
		return l, fmt.Errorf("train: class %q has no JPEG or PNG images: fill its folder, or remove it", l.ClassNames[i])
	}
	if l.Test, err = listPart(root, test, h, l.ClassNames); err != nil {
		return l, err
	}
	l.TrainNames, l.TestNames = l.Train.Files, l.Test.Files
	return l, nil
}

func testFolder(root string) (string, error) {
	for _, name := range testFolders {
		if st, err := os.Stat(filepath.Join(root, name)); err == nil && st.IsDir() {
			return name, nil
		}
	}
	return "", fmt.Errorf("no test images: want one of the folders %s", strings.Join(testFolders, ", "))
}

// listPart lists the images of one part.
func listPart(root, part string, h Header, classes []string) (Index, error) {
	ix := Index{Header: h}
	entries, err := os.ReadDir(filepath.Join(root, part))
	if err != nil {
		return ix, err
	}
	for _, e := range entries {
		if !e.IsDir() || hidden(e.Name()) {
			continue
		}
		label, ok := slices.BinarySearch(classes, e.Name())
		if !ok {
			return ix, fmt.Errorf("%s: class %q has no folder in train", part, e.Name())
		}
		if err := ix.addFolder(root, path.Join(part, e.Name()), label); err != nil {
			return ix, err
		}
	}
	if len(ix.Records) == 0 {
		return ix, fmt.Errorf("%s holds no JPEG or PNG images in folders of classes", part)
	}
	return ix, nil
}

// addFolder adds the images of a class, folders within it included.
func (ix *Index) addFolder(root, folder string, label int) error {
	return fs.WalkDir(os.DirFS(root), folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || hidden(d.Name()) || !isImage(name) {
			return nil
		}
		st, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || !st.Mode().IsRegular() {
			return err
		}
		if st.Size() > maxEncoded {
			return fmt.Errorf("%s: %d bytes: %w (at most %d)", name, st.Size(), ErrTooLarge, maxEncoded)
		}
		ix.Records = append(ix.Records, Record{File: len(ix.Files), Length: int(st.Size()), Label: label})
		ix.Files = append(ix.Files, name)
		return nil
	})
}

// maxEncoded bounds an image file: 256 MiB.
const maxEncoded = 256 << 20

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

func isImage(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jpg", ".jpeg", ".png":
		return true
	}
	return false
}

// Keep returns the index with those of its images alone for which keep says
// so, and the files that they lie in.
func (ix Index) Keep(keep func(i int) bool) Index {
	kept := Index{Header: ix.Header}
	kept.Files = nil
	moved := make(map[int]int)
	for i, r := range ix.Records {
		if !keep(i) {
			continue
		}
		if len(ix.Files) > 0 {
			to, ok := moved[r.File]
			if !ok {
				to = len(kept.Files)
				moved[r.File] = to
				kept.Files = append(kept.Files, ix.Files[r.File])
			}
			r.File = to
		}
		kept.Records = append(kept.Records, r)
	}
	return kept
}
