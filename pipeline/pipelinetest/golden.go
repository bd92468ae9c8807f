// Package pipelinetest helps to test stages.
package pipelinetest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"

	"eyrie/pipeline"
)

var update = flag.Bool("update", false, "write the golden results of a version that has none")

// Golden checks that a stage's results are those of its version, which stand in
// testdata/golden-vN of the stage's package. results are the outputs for some
// fixed inputs, each under a name.
//
// NAME.json holds an output. The texts among its files stand beside it as
// NAME-FILE; for files that are not text the JSON has the digest and the size.
//
// What a version gives never changes, as stores hold results under it. So
// -update writes the results of a new version, and those of a new name, but
// overwrites none. A version that was never committed, so that no store has it, is
// made anew by removing its directory first. (goldens_test.go at the root of
// the repository looks at what was committed.)
func Golden(t *testing.T, stage *pipeline.Stage, results map[string]any) {
	t.Helper()
	files := map[string][]byte{}
	for name, output := range results {
		if err := render(files, name, output); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	dir := filepath.Join("testdata", fmt.Sprintf("golden-v%d", stage.Version))
	if err := check(dir, files, *update); err != nil {
		t.Errorf("%s, version %d: %v", stage.Name, stage.Version, err)
	}
}

// check compares files with those in dir, or writes what is missing there.
func check(dir string, files map[string][]byte, update bool) error {
	want, err := readDir(dir)
	if err != nil {
		return err
	}
	if changes := changed(want, files); changes != "" {
		return fmt.Errorf("the results are not those in %s:\n%s\n"+
			"If they are meant to change, increase the version in Define and run go test -update, which writes those of the new version;\n"+
			"it does not overwrite these, as stores hold results of this version; if it was never committed, remove %[1]s and run it again", dir, changes)
	}
	missing := slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(name string) bool { return want[name] != nil })
	if len(missing) == 0 {
		return nil
	}
	if update {
		return write(dir, files, missing)
	}
	err = fmt.Errorf("%s has no %s: go test -update writes it", dir, strings.Join(missing, ", "))
	if before := newest(filepath.Dir(dir)); before != "" && len(want) == 0 {
		old, e := readDir(before)
		if e != nil {
			return e
		}
		if changes := changed(old, files); changes != "" {
			return fmt.Errorf("%w; against %s:\n%s", err, before, changes)
		}
		return fmt.Errorf("%w; the results are those in %s", err, before)
	}
	return err
}

// write adds files to a version's directory, and removes other versions', which
// git keeps.
func write(dir string, files map[string][]byte, names []string) error {
	others, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "golden-v*"))
	if err != nil {
		return err
	}
	for _, other := range others {
		if other != dir {
			if err := os.RemoveAll(other); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o666); err != nil {
			return err
		}
	}
	return nil
}

// changed returns the differences from the files that there are to those of
// the same names, and says which are no longer made.
func changed(want, got map[string][]byte) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch now, made := got[name]; {
		case !made:
			fmt.Fprintf(&b, "%s is no longer made\n", name)
		case !bytes.Equal(want[name], now):
			b.WriteString(shorten(diff.Diff(name, want[name], name+" now", now)))
		}
	}
	return b.String()
}

// shorten cuts a difference that fills more than a screen.
func shorten(difference []byte) string {
	const most = 60
	lines := strings.SplitAfter(string(difference), "\n")
	if len(lines) <= most {
		return string(difference)
	}
	return strings.Join(lines[:most], "") + fmt.Sprintf("… and %d more lines\n", len(lines)-most)
}

// newest returns the directory of golden results in dir with the highest
// version, or "".
func newest(dir string) (path string) {
	most := 0
	others, _ := filepath.Glob(filepath.Join(dir, "golden-v*"))
	for _, other := range others {
		var version int
		if _, err := fmt.Sscanf(filepath.Base(other), "golden-v%d", &version); err == nil && version > most {
			path, most = other, version
		}
	}
	return path
}

// readDir reads the files in dir, which need not exist.
func readDir(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return files, nil
}
