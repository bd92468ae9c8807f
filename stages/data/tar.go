package data

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ListShards lists WebDataset shards: tar files in which the members of a
// sample follow each other and share their name up to the first dot of its
// last part, with the image in .jpg, .jpeg or .png and the label, a number, in
// .cls (https://github.com/webdataset/webdataset). Training shards lie in
// root/train/ or are called root/train*.tar; the others likewise with test, val,
// validation or valid. The names of the classes are the lines of
// root/classes.txt, or else their numbers.
func ListShards(root string, channels int) (Listing, error) {
	var l Listing
	train, err := shards(root, "train")
	if err != nil {
		return l, err
	}
	if len(train) == 0 {
		return l, errors.New("no training shards: want train/*.tar or train*.tar")
	}
	var test []string
	for _, name := range testFolders {
		if test, err = shards(root, name); err != nil || len(test) > 0 {
			break
		}
	}
	if err != nil {
		return l, err
	}
	if len(test) == 0 {
		return l, fmt.Errorf("no test shards: want *.tar in, or beginning with, one of %s", strings.Join(testFolders, ", "))
	}
	if l.Train, l.TrainNames, err = listShards(root, train, channels); err != nil {
		return l, err
	}
	if l.Test, l.TestNames, err = listShards(root, test, channels); err != nil {
		return l, err
	}
	if l.ClassNames, err = classNames(root, max(l.Train.Classes, l.Test.Classes)); err != nil {
		return l, err
	}
	l.Train.Classes, l.Test.Classes = len(l.ClassNames), len(l.ClassNames)
	return l, nil
}

// shards returns the relative names of a part's shards, sorted.
func shards(root, part string) ([]string, error) {
	for _, pattern := range []string{part + "/*.tar", part + "*.tar"} {
		found, err := filepath.Glob(filepath.Join(escapeGlob(root), filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		for i, name := range found {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return nil, err
			}
			found[i] = filepath.ToSlash(rel)
		}
		if len(found) > 0 {
			slices.Sort(found)
			return found, nil
		}
	}
	return nil, nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

func classNames(root string, n int) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(root, "classes.txt"))
	if errors.Is(err, os.ErrNotExist) {
		var names []string
		for i := range n {
			names = append(names, strconv.Itoa(i))
		}
		return names, nil
	} else if err != nil {
		return nil, err
	}
	names := strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(names) < n {
		return nil, fmt.Errorf("%w: classes.txt names %d classes, but there is a label %d", ErrCount, len(names), n-1)
	}
	return names, nil
}

func listShards(root string, files []string, channels int) (Index, []string, error) {
	ix := Index{Header: Header{Encoding: Encoded, Channels: channels, Files: files}}
	var names []string
	for i, name := range files {
		f, err := os.Open(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return ix, nil, err
		}
		samples, err := indexTar(f)
		f.Close()
		if err != nil {
			return ix, nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, s := range samples {
			ix.Records = append(ix.Records, Record{File: i, Offset: s.offset, Length: s.length, Label: s.label})
			ix.Classes = max(ix.Classes, s.label+1)
			names = append(names, name+": "+s.name)
		}
	}
	if len(ix.Records) == 0 {
		return ix, nil, fmt.Errorf("%s: no sample with an image and a label", strings.Join(files, ", "))
	}
	return ix, names, nil
}

// sample is an image in a tar file, with its label.
type sample struct {
	name   string // of the image's entry
	offset int64  // of its content in the tar file
	length int
	label  int
}

// indexTar finds the samples of a tar file, without reading the images.
func indexTar(f io.ReadSeeker) ([]sample, error) {
	var samples []sample
	var s partial
	tr := tar.NewReader(f)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return s.end(samples)
		} else if err != nil {
			return nil, fmt.Errorf("after %d samples: %w", len(samples), cut(err))
		}
		if h.Typeflag != tar.TypeReg || hidden(path.Base(h.Name)) {
			continue
		}
		if key := sampleKey(h.Name); key != s.key || !s.begun {
			if samples, err = s.end(samples); err != nil {
				return nil, err
			}
			s = partial{begun: true, key: key, label: -1}
		}
		if err := s.add(h, tr, f); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// sampleKey returns the name up to the first dot of its last part.
func sampleKey(name string) string {
	dir, base := path.Split(name)
	base, _, _ = strings.Cut(base, ".")
	return dir + base
}

// partial is a sample whose members are being read.
type partial struct {
	begun bool
	key   string
	image *sample
	label int // -1 for none yet
}

func (s *partial) add(h *tar.Header, content io.Reader, f io.Seeker) error {
	switch {
	case isImage(h.Name):
		if s.image != nil {
			return fmt.Errorf("a second image of the sample %s, after %s", s.key, s.image.name)
		}
		if h.Size > maxEncoded {
			return fmt.Errorf("%d bytes: %w (at most %d)", h.Size, ErrTooLarge, maxEncoded)
		}
		if h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != "" {
			return errors.New("a sparse member cannot be read at random: pack the shard anew")
		}
		offset, err := f.Seek(0, io.SeekCurrent) // archive/tar reads no further than the header
		if err != nil {
			return err
		}
		s.image = &sample{name: h.Name, offset: offset, length: int(h.Size)}
	case strings.EqualFold(path.Ext(h.Name), ".cls"):
		b, err := io.ReadAll(io.LimitReader(content, 32))
		if err != nil {
			return cut(err)
		}
		label, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 32)
		if err != nil || label < 0 {
			return fmt.Errorf("%q is no label: want a number from 0", b)
		}
		s.label = int(label)
	}
	return nil
}

// end appends the sample. What has neither image nor label is something else
// and is left out; half a sample is a mistake.
func (s *partial) end(samples []sample) ([]sample, error) {
	switch {
	case s.image == nil && s.label < 0 || !s.begun:
		return samples, nil
	case s.image == nil:
		return nil, fmt.Errorf("sample %s has a label and no image (.jpg, .jpeg, .png)", s.key)
	case s.label < 0:
		return nil, fmt.Errorf("sample %s has an image and no label (.cls)", s.key)
	}
	s.image.label = s.label
	return append(samples, *s.image), nil
}
