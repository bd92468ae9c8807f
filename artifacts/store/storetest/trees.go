package storetest

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// names are what a tree's files may be called.
var names = []string{
	"a", "b", "a-b", "a.b", "A", "ä", "a\u0308", "日本", "with space", "with\nnewline", "\"quoted\"", "back\\slash", "-", "~",
	"..a", ".hidden", "%41", "\xff\xfe", "\u202e", "eyrie tree 1", "*", "f", strings.Repeat("long", 60),
}

// random makes a tree below dir: files of small contents that repeat, some
// executable, directories, some of them empty.
func random(t testing.TB, r *rand.Rand, dir string, depth int) {
	for _, i := range r.Perm(len(names))[:r.IntN(6)] {
		path := filepath.Join(dir, names[i])
		if depth > 0 && r.IntN(3) == 0 {
			if err := os.Mkdir(path, 0o777); err != nil {
				t.Skipf("the file system does not take the name %q: %v", names[i], err)
			}
			random(t, r, path, depth-1)
			continue
		}
		mode := fs.FileMode(0o666)
		if r.IntN(3) == 0 {
			mode = 0o777
		}
		if err := os.WriteFile(path, []byte(pattern(r.IntN(4)*1000)), mode); err != nil {
			t.Skipf("the file system does not take the name %q: %v", names[i], err)
		}
	}
}

// list describes every file and directory below dir.
func list(t testing.TB, dir string) []string {
	t.Helper()
	var l []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			l = append(l, fmt.Sprintf("%q", rel))
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		l = append(l, fmt.Sprintf("%q %t %s", rel, fi.Mode()&0o100 != 0, artifacts.Sum(b)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A tree that is fetched is the tree that was imported: the same names, the
// same contents, the same executable bits, empty directories too. It has the
// digest that it had, wherever it is.
func treeRoundTrip(t *testing.T, s *store.Store) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		dir := t.TempDir()
		random(t, r, dir, 3)
		want := list(t, dir)
		f := imported(t, s, dir)
		got := fetched(t, s, f)
		if l := list(t, got.Path); !slices.Equal(l, want) {
			t.Fatalf("fetched:\n%s\nimported:\n%s", strings.Join(l, "\n"), strings.Join(want, "\n"))
		}
		for _, path := range []string{dir, got.Path} {
			h, err := s.Hash(t.Context(), path)
			if h.Path = ""; err != nil || h != f {
				t.Fatalf("Hash: %+v, %v; Import: %+v", h, err, f)
			}
		}
	}
}

// Whatever is different in a tree, its digest is different; what is the same,
// although made in another order and at another time, has the same digest.
func treeDigest(t *testing.T, s *store.Store) {
	build := func(change func(dir string) error) artifacts.Digest {
		t.Helper()
		dir := t.TempDir()
		write(t, dir, "a/one", "1")
		write(t, dir, "b", "2")
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		f, err := s.Hash(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return f.Digest
	}
	same := func(string) error { return nil }
	want := build(same)
	if got := build(func(dir string) error {
		os.Remove(filepath.Join(dir, "b"))
		return os.WriteFile(filepath.Join(dir, "b"), []byte("2"), 0o640)
	}); got != want {
		t.Error("a tree made in another order has another digest")
	}
	changes := map[string]func(dir string) error{
		"nothing": same,
		"content": func(dir string) error { return os.WriteFile(filepath.Join(dir, "b"), []byte("3"), 0o666) },
		"name":    func(dir string) error { return os.Rename(filepath.Join(dir, "b"), filepath.Join(dir, "c")) },
		"place":   func(dir string) error { return os.Rename(filepath.Join(dir, "b"), filepath.Join(dir, "a/b")) },
		"mode":    func(dir string) error { return os.Chmod(filepath.Join(dir, "b"), 0o755) },
		"added":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "c"), nil, 0o666) },
		"removed": func(dir string) error { return os.Remove(filepath.Join(dir, "b")) },
		"empty":   func(dir string) error { return os.Mkdir(filepath.Join(dir, "d"), 0o777) },
		"kind": func(dir string) error {
			os.Remove(filepath.Join(dir, "b"))
			return os.Mkdir(filepath.Join(dir, "b"), 0o777)
		},
	}
	seen := map[artifacts.Digest]string{}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		d := build(changes[name])
		if other, ok := seen[d]; ok {
			t.Errorf("a change of %s and one of %s give the same digest", name, other)
		}
		seen[d] = name
	}
}

// A symbolic link is what it leads to, in the tree or out of it. One that leads
// nowhere, or in a circle, is an error.
func treeLinks(t *testing.T, s *store.Store) {
	outside := write(t, t.TempDir(), "outside", "far")
	linked, plain := t.TempDir(), t.TempDir()
	write(t, linked, "dir/file", "near")
	write(t, plain, "dir/file", "near")
	write(t, plain, "also/file", "near")
	write(t, plain, "far", "far")
	for _, l := range []struct{ to, name string }{{"dir", "also"}, {outside, "far"}} {
		if err := os.Symlink(l.to, filepath.Join(linked, l.name)); err != nil {
			t.Fatal(err)
		}
	}
	f := imported(t, s, linked)
	if g := imported(t, s, plain); f != g {
		t.Errorf("with links %+v, without %+v", f, g)
	}
	if got, want := list(t, fetched(t, s, f).Path), list(t, plain); !slices.Equal(got, want) {
		t.Errorf("fetched %v, want %v", got, want)
	}
	for _, to := range []string{"nowhere", ".", "../" + filepath.Base(linked)} {
		bad := filepath.Join(linked, "bad")
		if err := os.Symlink(to, bad); err != nil {
			t.Fatal(err)
		}
		_, err := s.Hash(t.Context(), linked)
		if err == nil || !strings.Contains(err.Error(), bad) || strings.Contains(err.Error(), "bad/bad") {
			t.Errorf("link to %s: error %v does not name it", to, err)
		}
		os.Remove(bad)
	}
}

// A fetched tree that was changed is right again when it is next fetched.
func treeRepair(t *testing.T, s *store.Store) {
	dir := t.TempDir()
	write(t, dir, "a/one", "1")
	write(t, dir, "b", "22")
	if err := os.Chmod(write(t, dir, "tool", "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	want := list(t, dir)
	f := fetched(t, s, imported(t, s, dir))
	for _, change := range []func() error{
		func() error { return os.WriteFile(f.Join("extra"), nil, 0o666) },
		func() error { return os.Remove(f.Join("a/one")) },
		func() error { return os.RemoveAll(f.Join("a")) },
		func() error { return os.MkdirAll(f.Join("new/dir"), 0o777) },
		func() error { os.Remove(f.Join("b")); return os.WriteFile(f.Join("b"), []byte("33"), 0o666) },
		func() error { os.Remove(f.Join("b")); return os.MkdirAll(f.Join("b/c"), 0o777) },
		func() error { os.Remove(f.Join("b")); return os.Symlink("tool", f.Join("b")) },
		func() error { os.Remove(f.Join("tool")); return os.WriteFile(f.Join("tool"), []byte("x"), 0o666) },
		func() error { return os.RemoveAll(f.Path) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if got := list(t, fetched(t, s, f).Path); !slices.Equal(got, want) {
			t.Fatalf("after a change the tree is %v, want %v", got, want)
		}
	}
}
