// Package tree is what a directory tree is as an artifact: a manifest, which is
// kept and digested as a file is. It reads trees from a disk and lays them out on
// one; what keeps the files' content is its caller's.
package tree

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"eyrie/artifacts"
)

// Entry is one line of a manifest.
type Entry struct {
	Path   string           // slash-separated, relative to the tree; any bytes but NUL
	Kind   Kind             // what is at Path
	Digest artifacts.Digest // of a file
	Size   int64            // of a file, in bytes
}

// Kind says what an entry is.
type Kind byte

const (
	File       Kind = 'f'
	Executable Kind = 'x' // a file that its owner may execute
	EmptyDir   Kind = 'd'
)

// KindOf returns the kind of the file that fi describes.
func KindOf(fi fs.FileInfo) Kind {
	if fi.Mode()&0o100 != 0 {
		return Executable
	}
	return File
}

// Manifest lists the files and the empty directories of a tree.
type Manifest []Entry

// header is the first line of every manifest.
const header = "eyrie tree 1\n"

// ErrManifest reports bytes that are not a manifest in canonical form.
var ErrManifest = errors.New("not a tree's manifest")

// Encode returns the canonical manifest of a tree: the header, then a line an entry, sorted by
// path. Paths are quoted as strconv.QuoteToASCII does, so that any name fits on a line. It
// sorts m.
func (m Manifest) Encode() []byte {
	const line = 100 // bytes, of a short path
	b := bytes.NewBuffer(make([]byte, 0, len(header)+line*len(m)))
	m.writeTo(b)
	return b.Bytes()
}

// Digest returns the digest of a tree: the SHA-256 of what Encode returns. It sorts m.
func (m Manifest) Digest() (d artifacts.Digest) {
	h := sha256.New()
	b := bufio.NewWriter(h)
	m.writeTo(b)
	b.Flush()
	h.Sum(d[:0])
	return d
}

// writeTo writes what Encode returns to a writer that does not fail.
func (m Manifest) writeTo(w io.Writer) {
	slices.SortFunc(m, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	_, _ = io.WriteString(w, header)
	var line []byte
	for _, e := range m {
		line = append(line[:0], byte(e.Kind), ' ')
		if e.Kind != EmptyDir {
			line = append(hex.AppendEncode(line, e.Digest[:]), ' ')
			line = append(strconv.AppendInt(line, e.Size, 10), ' ')
		}
		line = append(strconv.AppendQuoteToASCII(line, e.Path), '\n')
		_, _ = w.Write(line)
	}
}

// Decode reads what Encode returned, and fails with ErrManifest for anything else:
// a manifest has one form, and no path leads out of the tree or through a file.
func Decode(b []byte) (Manifest, error) {
	text, ok := strings.CutPrefix(string(b), header)
	if !ok {
		return nil, ErrManifest
	}
	var m Manifest
	leaf := map[string]bool{}
	for line := range strings.Lines(text) {
		e, err := decodeEntry(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrManifest, len(m)+2, err)
		}
		m = append(m, e)
		leaf[e.Path] = true
	}
	for _, e := range m {
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if leaf[dir] {
				return nil, fmt.Errorf("%w: %q is below %q", ErrManifest, e.Path, dir)
			}
		}
	}
	if len(leaf) != len(m) || !bytes.Equal(m.Encode(), b) {
		return nil, fmt.Errorf("%w: not in canonical form", ErrManifest)
	}
	return m, nil
}

// First reads the first file of an encoded manifest, and no further. What follows may be
// anything.
func First(r io.Reader) (Entry, error) {
	lines := bufio.NewScanner(r)
	if !lines.Scan() || lines.Text()+"\n" != header {
		return Entry{}, ErrManifest
	}
	for lines.Scan() {
		e, err := decodeEntry(lines.Text())
		if err != nil {
			return e, fmt.Errorf("%w: %w", ErrManifest, err)
		}
		if e.Kind != EmptyDir {
			return e, nil
		}
	}
	return Entry{}, ErrManifest
}

func decodeEntry(line string) (e Entry, err error) {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "f", "x":
		var digest, size string
		digest, rest, _ = strings.Cut(rest, " ")
		size, rest, _ = strings.Cut(rest, " ")
		if err := e.Digest.UnmarshalText([]byte(digest)); err != nil {
			return e, err
		}
		if e.Size, err = strconv.ParseInt(size, 10, 64); err != nil || e.Size < 0 {
			return e, fmt.Errorf("size %q", size)
		}
	case "d":
	default:
		return e, fmt.Errorf("kind %q", kind)
	}
	e.Kind = Kind(kind[0])
	if e.Path, err = strconv.Unquote(rest); err != nil {
		return e, fmt.Errorf("path %s: %w", rest, err)
	}
	if e.Path == "" || e.Path == "." || path.IsAbs(e.Path) || path.Clean(e.Path) != e.Path ||
		e.Path == ".." || strings.HasPrefix(e.Path, "../") || strings.ContainsRune(e.Path, 0) {
		return e, fmt.Errorf("path %q leads out of the tree", e.Path)
	}
	return e, nil
}

// Size returns the bytes of all files together.
func (m Manifest) Size() (n int64) {
	for _, e := range m {
		n += e.Size
	}
	return n
}
