package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

// scan returns the paths of a tree's files.
func scan(t *testing.T, root string) (paths []string, err error) {
	t.Helper()
	none := func(string, []fs.DirEntry) bool { return false }
	_, m, err := Scan(t.Context(), root, none, func(context.Context, string, disk.Stamp) (artifacts.Digest, int64, error) {
		return artifacts.Digest{}, 0, nil
	})
	for _, e := range m {
		paths = append(paths, e.Path)
	}
	return paths, err
}

// fan makes n directories, each with two links to the next, of which the last has a file.
func fan(t *testing.T, n int) (root string) {
	t.Helper()
	root = t.TempDir()
	for i := range n {
		dir := filepath.Join(root, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		var err error
		if i == n-1 {
			err = os.WriteFile(filepath.Join(dir, "file"), nil, 0o666)
		} else {
			next := fmt.Sprintf("../%d", i+1)
			err = errors.Join(os.Symlink(next, filepath.Join(dir, "l")), os.Symlink(next, filepath.Join(dir, "r")))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Links are followed, several to one place, too; but what they lead to again and again is
// bounded, whatever it doubles.
func TestLinksFanOut(t *testing.T) {
	if paths, err := scan(t, fan(t, 8)); err != nil || len(paths) != 1+2+4+8+16+32+64+128 {
		t.Errorf("8 levels: %d files, %v", len(paths), err)
	}
	begin := time.Now()
	_, err := scan(t, fan(t, 20))
	if err == nil || !strings.Contains(err.Error(), "links lead to the same directories again and again") {
		t.Error(err)
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("20 levels took %v", took)
	}
}

// What is no file is an error that names it by its path in the tree.
func TestNoFile(t *testing.T) {
	for to, want := range map[string]string{"/dev/null": "/a is neither a file nor a directory (Dc", ".": "/a links to a directory that it is in: remove the link", "gone": "/a: no such file"} {
		root := t.TempDir()
		if err := os.Symlink(to, filepath.Join(root, "a")); err != nil {
			t.Fatal(err)
		}
		if _, err := scan(t, root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("link to %s: %v", to, err)
		}
	}
}
