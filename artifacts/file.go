package artifacts

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// File is a handle to a file or directory tree: what a stage takes and returns
// for content too large for a value. In JSON it is its digest, size, kind and name;
// the path is where this machine can read it, and is never part of a result.
type File struct {
	Name   string // the last element of the path that it was made at; not part of any key
	Path   string // where the content can be read; empty until fetched
	Digest Digest // of the file's content, or of the tree's manifest
	Size   int64  // bytes; of a tree: of all its files
	Tree   bool   // a directory

	// Outside is set in a record's list of objects, and nowhere else, for a tree whose files
	// are not in the store. It is no part of a value: a tree is the same wherever it lies.
	Outside bool

	// Foreseen is set while the file is not made yet: JSON in which the stage that will
	// make it promises its readers something about its content. Such a handle has nothing
	// else, and is only for checks.
	Foreseen string
}

// Local returns a handle to what is at path, not yet in any store. Stages use
// it to return a file that they wrote, and tests to hand one in.
func Local(path string) File { return File{Path: path} }

// Open opens the file for reading.
func (f File) Open() (io.ReadCloser, error) { return os.Open(f.Path) }

// ReadFile reads the whole file.
func (f File) ReadFile() ([]byte, error) { return os.ReadFile(f.Path) }

// Join returns the path of a file in the tree.
func (f File) Join(elem ...string) string {
	return filepath.Join(append([]string{f.Path}, elem...)...)
}

// handle is a File in JSON. Its one field with a name of its own marks it as a
// handle in any JSON tree.
type handle struct {
	Object Digest `json:"$object"`
	Size   int64  `json:"size"`
	Tree   bool   `json:"tree,omitempty"`
	Out    bool   `json:"outside,omitempty"`
	Name   string `json:"name,omitempty"`
}

// MarshalJSON encodes the handle: {"$object": digest, "size": bytes, "tree": true, "name": "images"},
// or, of a file that is not made yet, {"$foreseen": …}.
func (f File) MarshalJSON() ([]byte, error) {
	if f.Foreseen != "" {
		return json.Marshal(foreseen{json.RawMessage(f.Foreseen)})
	}
	return json.Marshal(handle{f.Digest, f.Size, f.Tree, f.Outside, f.Name})
}

// DigestIn returns the digest in hexadecimal, if an object in a JSON tree is the handle
// of a file.
func DigestIn(object map[string]any) (digest string, ok bool) {
	digest, ok = object["$object"].(string)
	return digest, ok
}

// FileIn returns the file whose handle a value in a JSON tree is, if it is one.
func FileIn(v any) (f File, ok bool) {
	object, _ := v.(map[string]any)
	if _, ok := DigestIn(object); !ok {
		return f, false
	}
	b, err := json.Marshal(object)
	return f, err == nil && json.Unmarshal(b, &f) == nil
}

// FilesIn returns the files whose handles are in a JSON tree, in the order of their names.
func FilesIn(v any) (files []File) {
	if f, ok := FileIn(v); ok {
		return []File{f}
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			files = append(files, FilesIn(e)...)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			files = append(files, FilesIn(v[k])...)
		}
	}
	return files
}

type foreseen struct {
	Foreseen json.RawMessage `json:"$foreseen"`
}

// UnmarshalJSON decodes what MarshalJSON wrote.
func (f *File) UnmarshalJSON(b []byte) error {
	if plain, ok := readPlain(b); ok {
		*f = plain
		return nil
	}
	var early foreseen
	if err := json.Unmarshal(b, &early); err == nil && early.Foreseen != nil {
		*f = File{Foreseen: string(early.Foreseen)}
		return nil
	}
	var h handle
	if err := json.Unmarshal(b, &h); err != nil {
		return err
	}
	*f = File{Digest: h.Object, Size: h.Size, Tree: h.Tree, Outside: h.Out, Name: h.Name}
	return nil
}

// readPlain reads the handle of a file without a name from the very text that
// MarshalJSON writes. Records have thousands of them.
func readPlain(b []byte) (f File, ok bool) {
	b, begins := bytes.CutPrefix(b, []byte(`{"$object":"`))
	b, ends := bytes.CutSuffix(b, []byte("}"))
	digits := hex.EncodedLen(len(f.Digest))
	if !begins || !ends || len(b) < digits || f.Digest.UnmarshalText(b[:digits]) != nil {
		return f, false
	}
	size, ok := bytes.CutPrefix(b[digits:], []byte(`","size":`))
	if !ok || len(size) == 0 || len(size) > 18 || size[0] == '0' && len(size) > 1 {
		return f, false
	}
	for _, c := range size {
		if c < '0' || c > '9' {
			return f, false
		}
		f.Size = 10*f.Size + int64(c-'0')
	}
	return f, true
}
