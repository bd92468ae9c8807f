package tree

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
)

// A manifest that could write outside of its tree, or that is not in its one
// form, is refused.
func TestManifestRefused(t *testing.T) {
	f := "f " + artifacts.Sum(nil).String() + " 0 "
	good := header + f + "\"a\"\n" + f + "\"b/c\"\nd \"d\"\n"
	if m, err := Decode([]byte(good)); err != nil || len(m) != 3 {
		t.Fatal(m, err)
	}
	for what, lines := range map[string]string{
		"absolute":          f + `"/a"`,
		"up":                f + `"../a"`,
		"up and down":       f + `"a/../../b"`,
		"itself":            f + `"."`,
		"parent":            f + `".."`,
		"empty":             f + `""`,
		"NUL":               f + `"a\x00"`,
		"not clean":         f + `"a//b"`,
		"trailing slash":    f + `"a/"`,
		"below a file":      f + "\"a\"\n" + f + `"a/b"`,
		"below an empty":    "d \"a\"\n" + f + `"a/b"`,
		"twice":             f + "\"a\"\n" + f + `"a"`,
		"twice, two kinds":  "d \"a\"\n" + f + `"a"`,
		"unsorted":          f + "\"b\"\n" + f + `"a"`,
		"another quotation": f + "`a`",
		"another escape":    f + `"\x61"`,
		"not quoted":        f + "a",
		"kind":              "l" + f[1:] + `"a"`,
		"no digest":         `f 0 "a"`,
		"short digest":      `f abcd 0 "a"`,
		"upper case":        strings.ToUpper(f) + `"a"`,
		"size":              strings.Replace(f, " 0 ", " -1 ", 1) + `"a"`,
		"size, zeros":       strings.Replace(f, " 0 ", " 00 ", 1) + `"a"`,
		"empty line":        "",
	} {
		if m, err := Decode([]byte(header + lines + "\n")); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %v, %v", what, m, err)
		}
	}
	if _, err := Decode([]byte(strings.TrimSuffix(good, "\n"))); !errors.Is(err, ErrManifest) {
		t.Errorf("no end of line: %v", err)
	}
}

// A manifest's format is part of every tree's digest: it must not change unless
// the header does.
func TestManifestFormat(t *testing.T) {
	m := Manifest{{"z\n", Executable, artifacts.Sum([]byte("z")), 1}, {"ü/f", File, artifacts.Sum(nil), 0}, {"e", EmptyDir, artifacts.Digest{}, 0}}
	want := "eyrie tree 1\n" +
		"d \"e\"\n" +
		"x 594e519ae499312b29433b7dd8a97ff068defcba9755b6d5d00e84c524d67b06 1 \"z\\n\"\n" +
		"f e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 \"\\u00fc/f\"\n"
	if got := string(m.Encode()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Whatever is a manifest is one in one form only, and its paths stay inside.
func FuzzManifest(f *testing.F) {
	f.Add(Manifest{{"a", File, artifacts.Sum(nil), 0}, {"b/c\n\xff", Executable, artifacts.Sum(nil), 7}, {"d", EmptyDir, artifacts.Digest{}, 0}}.Encode())
	f.Add([]byte(header))
	f.Add([]byte(header + "d \"a/b\"\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		if again := slices.Clone(m).Encode(); !bytes.Equal(again, b) {
			t.Fatalf("%q, then %q", b, again)
		}
		for _, e := range m {
			if strings.HasPrefix(e.Path, "/") || slices.Contains(strings.Split(e.Path, "/"), "..") {
				t.Fatalf("path %q", e.Path)
			}
		}
	})
}
