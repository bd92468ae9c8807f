package pipelinetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"eyrie/artifacts"
)

// Digest returns a digest of an output and of what is in its files, wherever these lie.
func Digest(output any) (artifacts.Digest, error) {
	files := map[string][]byte{}
	if err := render(files, "output", output); err != nil {
		return artifacts.Digest{}, err
	}
	var all bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&all, "%s %d\n%s", name, len(files[name]), files[name])
	}
	return artifacts.Sum(all.Bytes()), nil
}

// readable is the most of a text that is kept as it is, in bytes.
const readable = 256 << 10

// render adds an output, and the files that it refers to, to files.
func render(files map[string][]byte, name string, output any) error {
	v := reflect.New(reflect.TypeOf(output)).Elem()
	v.Set(reflect.ValueOf(output))
	described := map[string]string{} // by digest: what stands in the JSON
	err := eachFile(v, func(f *artifacts.File) error {
		if f.Path == "" { // left out
			described[f.Digest.String()] = "null"
			return nil
		}
		base := filepath.Base(f.Path)
		if f.Tree {
			base = "tree.txt" // its own name may be that of a temporary directory
		} else if fi, err := os.Stat(f.Path); err == nil && fi.IsDir() { // the stage made it
			f.Tree, base = true, base+".txt"
		}
		b, err := read(*f)
		if err != nil {
			return err
		}
		f.Digest, f.Size = artifacts.Sum(b), int64(len(b))
		described[f.Digest.String()], err = describe(files, name, base, b)
		return err
	})
	if err != nil {
		return err
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.Interface()); err != nil {
		return err
	}
	handles := handle.ReplaceAllStringFunc(text.String(), func(s string) string {
		return described[handle.FindStringSubmatch(s)[1]]
	})
	text.Reset()
	if err := json.Indent(&text, []byte(handles), "", "  "); err != nil {
		return err
	}
	return add(files, name+".json", text.Bytes())
}

// read returns a file's content; of a tree, the list of its files.
func read(f artifacts.File) ([]byte, error) {
	if !f.Tree {
		return f.ReadFile()
	}
	var list bytes.Buffer
	err := filepath.WalkDir(f.Path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(f.Path, path)
		fmt.Fprintf(&list, "%s %8d %s\n", artifacts.Sum(b), len(b), filepath.ToSlash(name))
		return err
	})
	return list.Bytes(), err
}

var handle = regexp.MustCompile(`\{"\$object":"([0-9a-f]{64})"[^{}]*\}`)

// describe returns the JSON that stands for a file with this content, and adds
// it to files where it can be read.
func describe(files map[string][]byte, output, name string, b []byte) (string, error) {
	if len(b) > readable || !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return fmt.Sprintf(`{"file":%q,"size":%d,"sha256":"%s"}`, name, len(b), artifacts.Sum(b)), nil
	}
	var laidOut bytes.Buffer
	if strings.HasSuffix(name, ".json") && json.Indent(&laidOut, b, "", "  ") == nil {
		b = laidOut.Bytes()
	}
	name = output + "-" + name
	return fmt.Sprintf(`{"file":%q}`, name), add(files, name, b)
}

func add(files map[string][]byte, name string, b []byte) error {
	if old, ok := files[name]; ok && !bytes.Equal(old, b) {
		return fmt.Errorf("two files are called %s", name)
	}
	files[name] = b
	return nil
}

var fileType = reflect.TypeFor[artifacts.File]()

// eachFile calls f for every file in a value, which can be changed there.
func eachFile(v reflect.Value, f func(*artifacts.File) error) error {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == fileType {
			return f(v.Addr().Interface().(*artifacts.File))
		}
		for i := range v.NumField() {
			if field := v.Field(i); field.CanSet() {
				if err := eachFile(field, f); err != nil {
					return err
				}
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return eachFile(v.Elem(), f)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := eachFile(v.Index(i), f); err != nil {
				return err
			}
		}
	}
	return nil
}
