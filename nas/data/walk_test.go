package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"eyrie/artifacts/store"
)

// link makes links in the tree at root: name → where it leads.
func link(t testing.TB, root string, links map[string]string) {
	t.Helper()
	for name, to := range links {
		if err := os.Symlink(filepath.FromSlash(to), filepath.Join(root, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
}

// handed returns what a stage is handed of a tree: what the store has of it.
func handed(t testing.TB, root string) (string, error) {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Snapshot(t.Context(), root)
	return f.Path, err
}

// Links to classes, to folders in them and to images are followed, inside the tree and
// out of it.
func TestLinksAreFollowed(t *testing.T) {
	elsewhere := writeTree(t, map[string][]byte{"cats/1.jpg": nil, "cats/more/2.png": nil, "one.jpg": nil})
	root := writeTree(t, map[string][]byte{"train/dog/1.jpg": nil, "real/x.jpg": nil, "real/y/z.gif": nil, ".git/a.jpg": nil})
	link(t, root, map[string]string{
		"train/cat":       filepath.Join(elsewhere, "cats"),
		"train/dog/more":  "../../real",
		"train/dog/0.jpg": filepath.Join(elsewhere, "one.jpg"),
		"val":             "train",
	})
	tree, err := handed(t, root)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ListFolder(t.Context(), tree, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range l.Train.Records {
		got = append(got, fmt.Sprint(l.Train.Files[r.File], " ", r.Label))
	}
	want := []string{"train/cat/1.jpg 0", "train/cat/more/2.png 0", "train/dog/0.jpg 1", "train/dog/1.jpg 1", "train/dog/more/x.jpg 1", "train/dog/more/y/z.gif 1"}
	if !slices.Equal(got, want) || len(l.Test.Files) != len(want) {
		t.Errorf("train %q, test %q", got, l.Test.Files)
	}
	if want := []string{".git (hidden)", "real/x.jpg (neither in train nor in val)", "real/y/z.gif (neither in train nor in val)"}; l.LeftOut.Count != 3 || !slices.Equal(l.LeftOut.Names, want) {
		t.Errorf("left out %+v", l.LeftOut)
	}
}

// A link that leads nowhere or round in a circle, and what cannot be read as a file, are
// errors that name it; nothing waits for a pipe's writer.
func TestNoFile(t *testing.T) {
	for _, test := range []struct {
		name, want string
		spoil      func(root string) error
	}{
		{"loop", "train/a/up links to a directory that it is in: remove the link", func(root string) error { return os.Symlink("..", root+"/train/a/up") }},
		{"loop to the root", "train/a/up links to a directory that it is in", func(root string) error { return os.Symlink(root, root+"/train/a/up") }},
		{"loop of two", "train/a/b/c links to a directory that it is in", func(root string) error {
			return errors.Join(os.Symlink("../../val", root+"/train/a/b"), os.Symlink("../train/a", root+"/val/c"))
		}},
		{"link to itself", "train/a/x.jpg: too many levels of symbolic links", func(root string) error { return os.Symlink("x.jpg", root+"/train/a/x.jpg") }},
		{"dangling", "train/a/x.jpg: no such file", func(root string) error { return os.Symlink("../gone.jpg", root+"/train/a/x.jpg") }},
		{"dangling class", "train/b: no such file", func(root string) error { return os.Symlink("gone", root+"/train/b") }},
		{"pipe", "train/a/x.jpg is neither a file nor a directory (p---------)", func(root string) error { return syscall.Mkfifo(root+"/train/a/x.jpg", 0o600) }},
		{"device", "val/zero is neither a file nor a directory (D", func(root string) error { return os.Symlink("/dev/zero", root+"/val/zero") }},
		{"not UTF-8", `the name "train/a/\xff.jpg" is not UTF-8: rename it`, func(root string) error { return os.WriteFile(root+"/train/a/\xff.jpg", nil, 0o666) }},
		{"class that is not UTF-8", `the name "train/\xff" is not UTF-8: rename it`, func(root string) error { return os.Mkdir(root+"/train/\xff", 0o777) }},
	} {
		root := writeTree(t, map[string][]byte{"train/a/1.jpg": nil, "val/a/1.jpg": nil})
		if err := test.spoil(root); err != nil {
			t.Fatal(err)
		}
		tree, err := handed(t, root)
		if err == nil {
			_, err = ListFolder(t.Context(), tree, 3, upright)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// A tree that is read where it lies, with links in it, lists as its copy does.
func TestLinksWhereTheyLie(t *testing.T) {
	root := writeTree(t, map[string][]byte{"train/a/1.jpg": nil, "val/a/1.jpg": nil, "val/b/2.jpg": nil, "more/3.jpg": {1, 2}})
	link(t, root, map[string]string{"train/b": "../val/b", "train/a/3.jpg": "../../more/3.jpg", "train/b2": "../more", "val/a/more": "../../more"})
	tree, err := handed(t, root)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := ListFolder(t.Context(), tree, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	there, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(copied, there) || len(there.Train.Records) != 4 {
		t.Errorf("copied %+v, there %+v", copied, there)
	}
}

// What is neither a file nor a folder in a tree that is read where it lies is an error.
func TestPipeWhereItLies(t *testing.T) {
	root := writeTree(t, map[string][]byte{"train/a/1.jpg": nil, "val/a/1.jpg": nil})
	if err := syscall.Mkfifo(root+"/train/a/x.jpg", 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListFolder(t.Context(), root, 3, upright); err == nil || !strings.Contains(err.Error(), "train/a/x.jpg is neither a file nor a folder (p") {
		t.Error(err)
	}
}

// Every file that is not read is counted, and the first are named with the reason.
func TestLeftOut(t *testing.T) {
	files := map[string][]byte{
		"train/a/1.jpg": nil, "train/a/2.HEIC": nil, "train/a/._1.jpg": nil, "train/3.jpg": nil, "test/a/1.jpg": nil, "val/a/1.jpg": nil, "readme.md": nil,
		"train/a/format": nil,
	}
	l, err := ListFolder(t.Context(), writeTree(t, files), 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"readme.md (neither in train nor in test)", "train/3.jpg (not in a class's folder)", "train/a/._1.jpg (hidden)",
		"train/a/2.HEIC (not called as an image is)", "train/a/format (not called as an image is)", "val/a/1.jpg (neither in train nor in test)",
	}
	if l.LeftOut.Count != len(want) || !slices.Equal(l.LeftOut.Names, want) {
		t.Errorf("left out %+v", l.LeftOut)
	}
	for i := range 100 {
		files[fmt.Sprintf("train/a/%d.txt", i)] = nil
	}
	if l, err = ListFolder(t.Context(), writeTree(t, files), 3, upright); err != nil || l.LeftOut.Count != 106 || len(l.LeftOut.Names) != named {
		t.Errorf("left out %d, named %d, %v", l.LeftOut.Count, len(l.LeftOut.Names), err)
	}
}

// Names that differ by their case are two classes, as they are two folders.
func TestCaseOfClasses(t *testing.T) {
	root := writeTree(t, map[string][]byte{"train/Cat/1.jpg": nil, "train/cat/1.JPG": nil, "train/cat/1.jpg": nil, "val/cat/1.jpg": nil})
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil || !slices.Equal(l.ClassNames, []string{"Cat", "cat"}) || len(l.Train.Records) != 3 || l.Test.Records[0].Label != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

// A file that may not be read is an error that names it, not a corrupt image.
func TestForbidden(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	root := writeTree(t, map[string][]byte{"train/a/1.jpg": drawn(t, 1, 8, "jpg"), "val/a/1.jpg": nil})
	if err := os.Chmod(filepath.Join(root, "train/a/1.jpg"), 0); err != nil {
		t.Fatal(err)
	}
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Survey(t.Context(), l.Train, root, SurveyOptions{Threads: 1, Report: func(int) {}}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "1.jpg") {
		t.Errorf("%v", err)
	}
}

// Listing and decoding end when they are told to.
func TestCancelled(t *testing.T) {
	img := drawn(t, 1, 8, "png")
	root := writeTree(t, map[string][]byte{"train/a/1.png": img, "val/a/1.png": img})
	tar := writeTree(t, map[string][]byte{"train.tar": tarFile(t, member{"1.png", img}, member{"1.cls", []byte("0")}), "val.tar": tarFile(t, member{"1.png", img}, member{"1.cls", []byte("0")})})
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, err := ListFolder(ctx, root, 3, upright); !errors.Is(err, stop) {
		t.Errorf("folder: %v", err)
	}
	if _, err := ListShards(ctx, tar, 3, upright); !errors.Is(err, stop) {
		t.Errorf("shards: %v", err)
	}
	if _, err := Survey(ctx, l.Train, root, SurveyOptions{Threads: 1, Report: func(int) {}}); !errors.Is(err, stop) {
		t.Errorf("survey: %v", err)
	}
}
