package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"eyrie/artifacts"
)

// manifestHeader is the first line of every manifest.
const manifestHeader = "eyrie tree 1\n"

// entry is one line of a tree's manifest.
type entry struct {
	path   string           // slash-separated, relative to the tree; any bytes but NUL
	kind   byte             // 'f' a file, 'x' an executable file, 'd' an empty directory
	digest artifacts.Digest // of a file
	size   int64            // of a file, in bytes
}

// errManifest reports bytes that are not a manifest in canonical form.
var errManifest = errors.New("not a tree's manifest")

// encodeManifest returns the canonical manifest of a tree: the header, then a
// line an entry, sorted by path. Paths are quoted as Go's strconv.QuoteToASCII
// does, so that any name fits on a line. It sorts m.
func encodeManifest(m []entry) []byte {
	slices.SortFunc(m, func(a, b entry) int { return cmp.Compare(a.path, b.path) })
	b := []byte(manifestHeader)
	for _, e := range m {
		b = append(b, e.kind, ' ')
		if e.kind != 'd' {
			b = fmt.Appendf(b, "%s %d ", e.digest, e.size)
		}
		b = strconv.AppendQuoteToASCII(b, e.path)
		b = append(b, '\n')
	}
	return b
}

// decodeManifest reads what encodeManifest wrote, and nothing else: a manifest
// has one form, and no path leads out of the tree or through a file.
func decodeManifest(b []byte) ([]entry, error) {
	text, ok := strings.CutPrefix(string(b), manifestHeader)
	if !ok {
		return nil, errManifest
	}
	var m []entry
	leaf := map[string]bool{}
	for line := range strings.Lines(text) {
		e, err := decodeEntry(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errManifest, len(m)+2, err)
		}
		m = append(m, e)
		leaf[e.path] = true
	}
	for _, e := range m {
		for dir := path.Dir(e.path); dir != "."; dir = path.Dir(dir) {
			if leaf[dir] {
				return nil, fmt.Errorf("%w: %q is below %q", errManifest, e.path, dir)
			}
		}
	}
	if len(leaf) != len(m) || !bytes.Equal(encodeManifest(m), b) {
		return nil, fmt.Errorf("%w: not in canonical form", errManifest)
	}
	return m, nil
}

func decodeEntry(line string) (e entry, err error) {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "f", "x":
		var digest, size string
		digest, rest, _ = strings.Cut(rest, " ")
		size, rest, _ = strings.Cut(rest, " ")
		if err := e.digest.UnmarshalText([]byte(digest)); err != nil {
			return e, err
		}
		if e.size, err = strconv.ParseInt(size, 10, 64); err != nil || e.size < 0 {
			return e, fmt.Errorf("size %q", size)
		}
	case "d":
	default:
		return e, fmt.Errorf("kind %q", kind)
	}
	e.kind = kind[0]
	if e.path, err = strconv.Unquote(rest); err != nil {
		return e, fmt.Errorf("path %s: %w", rest, err)
	}
	if e.path == "" || e.path == "." || path.IsAbs(e.path) || path.Clean(e.path) != e.path ||
		e.path == ".." || strings.HasPrefix(e.path, "../") || strings.ContainsRune(e.path, 0) {
		return e, fmt.Errorf("path %q leads out of the tree", e.path)
	}
	return e, nil
}

// treeSize returns the bytes of all files together.
func treeSize(m []entry) (n int64) {
	for _, e := range m {
		n += e.size
	}
	return n
}
