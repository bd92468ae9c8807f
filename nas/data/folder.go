package data

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"eyrie/nas/data/picture"
)

// Listing is what a tree of images holds, before anyone has looked into the
// images themselves.
type Listing struct {
	Train, Test           Index
	TrainNames, TestNames []string // what to call each image in a message
	ClassNames            []string
	LeftOut               LeftOut
}

// testFolders are the names under which the test images of a tree may lie.
var testFolders = []string{"test", "val", "validation", "valid"}

// ListFolder lists an ImageFolder tree: root/train/CLASS/…/IMAGE and the same
// under test, val, validation or valid. Classes are numbered in the order of
// their names. Files count that are called as images are; others and hidden ones are
// left out.
func ListFolder(ctx context.Context, root string, channels int, how picture.Reading) (Listing, error) {
	var l Listing
	entries, err := walk(ctx, root)
	if err != nil {
		return l, err
	}
	test, err := testFolder(entries)
	if err != nil {
		return l, err
	}
	h := Header{Encoding: Encoded, Channels: channels, Reading: how}
	l.Train.Header, l.Test.Header = h, h
	if err := l.addClasses(entries, test); err != nil {
		return l, err
	}
	for _, e := range entries {
		if err := l.add(e, test); err != nil {
			return l, err
		}
	}
	if err := l.checkClasses(test); err != nil {
		return l, err
	}
	l.TrainNames, l.TestNames = l.Train.Files, l.Test.Files
	return l, nil
}

// testFolder returns the folder of the test images.
func testFolder(entries []entry) (string, error) {
	if !slices.ContainsFunc(entries, func(e entry) bool { return e.dir && e.name == "train" }) {
		return "", errors.New("an ImageFolder tree has its training images in train/CLASS/: there is no folder train")
	}
	for _, name := range testFolders {
		if slices.ContainsFunc(entries, func(e entry) bool { return e.dir && e.name == name }) {
			return name, nil
		}
	}
	return "", fmt.Errorf("no test images: want one of the folders %s", strings.Join(testFolders, ", "))
}

// addClasses finds the classes: the folders in train.
func (l *Listing) addClasses(entries []entry, test string) error {
	for _, e := range entries {
		if part, class := path.Split(e.name); e.dir && part == "train/" && !hidden(class) {
			if err := checkName(e.name); err != nil {
				return err
			}
			l.ClassNames = append(l.ClassNames, class)
		}
	}
	if n := len(l.ClassNames); n == 0 {
		return errors.New("train has no folder: each class is a folder of images")
	} else if n > maxClasses {
		return fmt.Errorf("train has %d folders of classes: %w (at most %d)", n, ErrTooLarge, maxClasses)
	}
	for _, e := range entries {
		part, class := path.Split(e.name)
		if _, ok := slices.BinarySearch(l.ClassNames, class); !ok && e.dir && part == test+"/" && !hidden(class) {
			return fmt.Errorf("%s: class %q has no folder in train", test, class)
		}
	}
	l.Train.Classes, l.Test.Classes = len(l.ClassNames), len(l.ClassNames)
	return nil
}

// add adds a file to the images or to what is left out.
func (l *Listing) add(e entry, test string) error {
	part, rest, _ := strings.Cut(e.name, "/")
	class, _, inClass := strings.Cut(rest, "/")
	switch {
	case hidden(e.name):
		l.LeftOut.add(e.name, "hidden")
	case e.dir:
	case part != "train" && part != test:
		l.LeftOut.add(e.name, "neither in train nor in "+test)
	case !inClass:
		l.LeftOut.add(e.name, "not in a class's folder")
	case !picture.Named(e.name):
		l.LeftOut.add(e.name, "not called as an image is")
	case e.size > maxEncoded:
		return fmt.Errorf("%s: %d bytes: %w (at most %d)", e.name, e.size, ErrTooLarge, maxEncoded)
	default:
		ix := &l.Train
		if part == test {
			ix = &l.Test
		}
		label, _ := slices.BinarySearch(l.ClassNames, class)
		ix.Records = append(ix.Records, Record{File: len(ix.Files), Length: int(e.size), Label: label})
		ix.Files = append(ix.Files, e.name)
		return checkName(e.name)
	}
	return nil
}

// Untaught returns the classes of which there is no training image.
func (l Listing) Untaught() (names []string) {
	taught := make([]bool, len(l.ClassNames))
	for _, r := range l.Train.Records {
		taught[r.Label] = true
	}
	for i, name := range l.ClassNames {
		if !taught[i] {
			names = append(names, name)
		}
	}
	return names
}

// checkClasses reports a class without images to learn it from, and a part without
// images.
func (l *Listing) checkClasses(test string) error {
	names := strings.Join(picture.Extensions, ", ")
	switch untaught := l.Untaught(); {
	case len(l.Train.Records) == 0:
		return fmt.Errorf("train holds no images (%s) in folders of classes%s", names, l.LeftOut.hint())
	case len(untaught) > 0:
		return fmt.Errorf("train: class %q has no images (%s): fill its folder, or remove it", untaught[0], names)
	case len(l.Test.Records) == 0:
		return fmt.Errorf("%s holds no images (%s) in folders of classes%s", test, names, l.LeftOut.hint())
	}
	return nil
}

// maxEncoded bounds an image file: 256 MiB.
const maxEncoded = 256 << 20

// maxClasses bounds the classes of a set, and so what a label can make of its size.
const maxClasses = 1 << 16

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
