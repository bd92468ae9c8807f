package data

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"eyrie/nas/data/picture"
)

// ListShards lists WebDataset shards: tar files in which the members of a
// sample follow each other and share their name up to the first dot of its
// last part, with the image under an image's name and the label, a number, in
// .cls (https://github.com/webdataset/webdataset). Training shards lie in
// root/train/ or are called root/train*.tar; the others likewise with test, val,
// validation or valid. The names of the classes are the lines of
// root/classes.txt, or else their numbers.
func ListShards(ctx context.Context, root string, channels int, how picture.Reading) (Listing, error) {
	var l Listing
	entries, err := walk(ctx, root)
	if err != nil {
		return l, err
	}
	parts, err := shards(entries)
	if err != nil {
		return l, err
	}
	for _, e := range entries {
		if used := slices.Contains(parts[0], e.name) || slices.Contains(parts[1], e.name) || e.name == classesFile; !used && (!e.dir || hidden(e.name)) {
			l.LeftOut.add(e.name, "not a shard of a part")
		}
	}
	h := Header{Encoding: Encoded, Channels: channels, Reading: how}
	train, err := l.read(ctx, root, h, parts[0])
	if err != nil {
		return l, err
	}
	test, err := l.read(ctx, root, h, parts[1])
	if err != nil {
		return l, err
	}
	if l.ClassNames, err = classNames(root, train, test); err != nil {
		return l, err
	}
	l.Train, l.TrainNames, l.Test, l.TestNames = train.index, train.names, test.index, test.names
	l.Train.Classes, l.Test.Classes = len(l.ClassNames), len(l.ClassNames)
	return l, nil
}

const classesFile = "classes.txt"

// shards returns the names of the training shards and of the test shards.
func shards(entries []entry) (parts [2][]string, err error) {
	if parts[0] = shardsOf(entries, "train"); len(parts[0]) == 0 {
		return parts, errors.New("no training shards: want train/*.tar or train*.tar" + packed(entries))
	}
	for _, name := range testFolders {
		if parts[1] = shardsOf(entries, name); len(parts[1]) > 0 {
			return parts, nil
		}
	}
	return parts, fmt.Errorf("no test shards: want *.tar in, or beginning with, one of %s%s", strings.Join(testFolders, ", "), packed(entries))
}

// shardsOf returns the shards of a part: those in its folder or else those whose names
// begin with its name.
func shardsOf(entries []entry, part string) []string {
	for _, pattern := range []string{part + "/*.tar", part + "*.tar"} {
		var found []string
		for _, e := range entries {
			if ok, _ := path.Match(pattern, e.name); ok && !e.dir && !hidden(e.name) {
				found = append(found, e.name)
			}
		}
		if len(found) > 0 {
			slices.Sort(found)
			return found
		}
	}
	return nil
}

// packed names a shard that is compressed, where that may be the mistake.
func packed(entries []entry) string {
	for _, e := range entries {
		for _, end := range []string{".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2"} {
			if strings.HasSuffix(strings.ToLower(e.name), end) {
				return fmt.Sprintf("; %s is compressed, so that no image in it can be read by itself: unpack it to a .tar", e.name)
			}
		}
	}
	return ""
}

// shardPart is what the shards of a part hold.
type shardPart struct {
	index Index
	names []string // of the images, for people
	last  string   // one with the highest label
}

// classNames returns the lines of classes.txt, or else the numbers of the classes.
func classNames(root string, train, test shardPart) ([]string, error) {
	highest := train
	if test.index.Classes > train.index.Classes {
		highest = test
	}
	n := highest.index.Classes
	names, err := readLines(filepath.Join(root, classesFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		for i := range n {
			names = append(names, strconv.Itoa(i))
		}
	case err != nil:
		return nil, fmt.Errorf("%s: %w", classesFile, err)
	case len(names) < n:
		return nil, fmt.Errorf("%w: %s names %d classes, but the label of %s is %d", ErrCount, classesFile, len(names), highest.last, n-1)
	case len(names) > maxClasses:
		return nil, fmt.Errorf("%s: %d lines: %w (at most %d)", classesFile, len(names), ErrTooLarge, maxClasses)
	}
	return names, nil
}

// readLines reads the names of classes, one a line: an empty one would give all that
// follow another number.
func readLines(path string) ([]string, error) {
	if fi, err := os.Stat(path); err == nil && fi.Size() > maxEncoded {
		return nil, fmt.Errorf("%d bytes: %w (at most %d)", fi.Size(), ErrTooLarge, maxEncoded)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(b), "\ufeff"), "\r\n", "\n")
	names := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, name := range names {
		if strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("line %d is empty: want the name of class %d", i+1, i)
		}
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("line %d is not UTF-8: %q", i+1, name)
		}
	}
	return names, nil
}

// read lists the samples of a part's shards.
func (l *Listing) read(ctx context.Context, root string, h Header, files []string) (p shardPart, err error) {
	h.Files = files
	p.index.Header = h
	for i, name := range files {
		if err := checkName(name); err != nil {
			return p, err
		}
		found, err := readShard(ctx, filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		for _, s := range found.samples {
			p.index.Records = append(p.index.Records, Record{File: i, Offset: s.offset, Length: s.length, Label: s.label})
			p.names = append(p.names, name+": "+s.name)
			if s.label >= p.index.Classes {
				p.index.Classes, p.last = s.label+1, name+": "+s.name
			}
		}
		l.LeftOut.merge(found.left, name+": ")
	}
	if len(p.index.Records) == 0 {
		return p, fmt.Errorf("%s: no sample with an image and a label", strings.Join(files, ", "))
	}
	return p, nil
}

func readShard(ctx context.Context, path string) (shard, error) {
	f, err := os.Open(path)
	if err != nil {
		return shard{}, err
	}
	defer f.Close()
	return indexTar(ctx, f)
}

// shard is what was found in a tar file.
type shard struct {
	samples []sample
	left    LeftOut
}

// sample is an image in a tar file, with its label.
type sample struct {
	name   string // of the image's entry
	offset int64  // of its content in the tar file
	length int
	label  int
}

// indexTar finds the samples of a tar file, without reading the images.
func indexTar(ctx context.Context, f io.ReadSeeker) (found shard, err error) {
	var s partial
	end := int64(0) // of the last member
	tr := tar.NewReader(f)
	for ctx.Err() == nil {
		h, err := tr.Next()
		if err == io.EOF {
			if err := checkEnd(ctx, f, end); err != nil {
				return found, err
			}
			found.samples, err = s.end(found.samples)
			return found, err
		} else if err != nil {
			return found, fmt.Errorf("after %d samples: %w", len(found.samples), cut(err))
		}
		offset, err := f.Seek(0, io.SeekCurrent) // archive/tar reads no further than the header
		if err != nil {
			return found, err
		}
		if isSparse(h) {
			return found, fmt.Errorf("%s: a sparse member cannot be read at random: pack the shard anew", h.Name)
		}
		end = blocks(offset) + contentSize(h)
		if why := unread(h); why != "" {
			found.left.add(h.Name, why)
		}
		if h.Typeflag != tar.TypeReg || hidden(h.Name) {
			continue
		}
		if key := sampleKey(h.Name); key != s.key || !s.begun {
			if found.samples, err = s.end(found.samples); err != nil {
				return found, err
			}
			s = partial{begun: true, key: key, label: -1}
		}
		if err := s.add(h, tr, offset); err != nil {
			return found, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return found, context.Cause(ctx)
}

// unread says why a member is no part of a sample, or "".
func unread(h *tar.Header) string {
	switch {
	case h.Typeflag == tar.TypeDir, h.Typeflag == tar.TypeXGlobalHeader:
		return ""
	case h.Typeflag != tar.TypeReg:
		return "a link or a device"
	case hidden(h.Name):
		return "hidden"
	case !picture.Named(h.Name) && !isLabel(h.Name):
		return "neither called as an image is nor .cls"
	}
	return ""
}

func isLabel(name string) bool { return strings.EqualFold(path.Ext(name), ".cls") }

// blockSize is what a tar file is made of.
const blockSize = 512

// contentSize returns the bytes that a member's content takes in the file.
func contentSize(h *tar.Header) int64 {
	switch h.Typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
		return 0
	}
	return blocks(h.Size)
}

func blocks(n int64) int64 { return (n + blockSize - 1) / blockSize * blockSize }

// checkEnd reports a tar file that does not end after its last member as it should, with
// two blocks of zeros or more: without them it was cut, and with anything else, more
// samples may follow.
func checkEnd(ctx context.Context, f io.ReadSeeker, end int64) error {
	if _, err := f.Seek(end, io.SeekStart); err != nil {
		return err
	}
	var zeros int64
	for b := make([]byte, 1<<16); ctx.Err() == nil; {
		n, err := f.Read(b)
		for _, v := range b[:n] {
			if v != 0 && zeros < 2*blockSize {
				return fmt.Errorf("damaged at byte %d: neither a member nor the end of the archive", end+zeros)
			} else if v != 0 {
				return fmt.Errorf("more data at byte %d, after the end of the archive: were two archives joined? Pack them anew", end+zeros)
			}
			zeros++
		}
		if err == io.EOF && zeros < 2*blockSize {
			return fmt.Errorf("%w: the two empty blocks are missing that end an archive", ErrTruncated)
		} else if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
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

// add adds a member whose content lies at that offset.
func (s *partial) add(h *tar.Header, content io.Reader, offset int64) error {
	switch {
	case picture.Named(h.Name):
		if s.image != nil {
			return fmt.Errorf("a second image of the sample %s, after %s", s.key, s.image.name)
		}
		if h.Size > maxEncoded {
			return fmt.Errorf("%d bytes: %w (at most %d)", h.Size, ErrTooLarge, maxEncoded)
		}
		s.image = &sample{name: h.Name, offset: offset, length: int(h.Size)}
	case isLabel(h.Name):
		if s.label >= 0 {
			return fmt.Errorf("a second label of the sample %s: want one", s.key)
		}
		var err error
		s.label, err = readLabel(content)
		return err
	}
	return nil
}

func isSparse(h *tar.Header) bool {
	return h.Typeflag == tar.TypeGNUSparse || h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != ""
}

// readLabel reads a class's number.
func readLabel(content io.Reader) (int, error) {
	const longest = 32 // bytes, white space included
	b, err := io.ReadAll(io.LimitReader(content, longest+1))
	if err != nil {
		return 0, cut(err)
	}
	label, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && label > 0, err == nil && label >= maxClasses:
		return 0, fmt.Errorf("label %s: %w (at most %d)", bytes.TrimSpace(b), ErrTooLarge, maxClasses-1)
	case err != nil, label < 0, len(b) > longest:
		return 0, fmt.Errorf("%q is no label: want a number from 0", b)
	}
	return int(label), nil
}

// end appends the sample. What has neither image nor label is something else
// and is left out; half a sample is a mistake.
func (s *partial) end(samples []sample) ([]sample, error) {
	switch {
	case s.image == nil && s.label < 0 || !s.begun:
		return samples, nil
	case s.image == nil:
		return nil, fmt.Errorf("sample %s has a label and no image (%s)", s.key, strings.Join(picture.Extensions, ", "))
	case s.label < 0:
		return nil, fmt.Errorf("sample %s has an image and no label (.cls)", s.key)
	}
	s.image.label = s.label
	return append(samples, *s.image), nil
}
