package pipelinetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/artifacts"
)

type output struct {
	Number float64          `json:"number"`
	Text   artifacts.File   `json:"text"`
	Binary *artifacts.File  `json:"binary"`
	None   *artifacts.File  `json:"none"`
	More   []artifacts.File `json:"more"`
}

func local(t *testing.T, name, content string) artifacts.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return artifacts.Local(path)
}

// An output's JSON can be read, its texts stand beside it, and what is binary
// has its digest and size.
func TestRender(t *testing.T) {
	binary := local(t, "w.bin", "\x00\xff")
	files := map[string][]byte{}
	err := render(files, "a", output{Number: 0.1, Text: local(t, "t.csv", "x,y\n"), Binary: &binary, More: []artifacts.File{local(t, "m.json", `{"<":[1]}`)}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"a-t.csv":  "x,y\n",
		"a-m.json": "{\n  \"<\": [\n    1\n  ]\n}",
		"a.json": `{
  "number": 0.1,
  "text": {
    "file": "a-t.csv"
  },
  "binary": {
    "file": "w.bin",
    "size": 2,
    "sha256": "06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"
  },
  "none": null,
  "more": [
    {
      "file": "a-m.json"
    }
  ]
}
`,
	}
	for name := range files {
		if got := string(files[name]); got != want[name] {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want[name])
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
}

// A tree is kept as the names, sizes and digests of its files.
func TestRenderTree(t *testing.T) {
	tree := artifacts.File{Path: filepath.Dir(local(t, "t.csv", "x,y\n").Path), Tree: true}
	files := map[string][]byte{}
	if err := render(files, "a", struct{ Tree artifacts.File }{tree}); err != nil {
		t.Fatal(err)
	}
	want := "9c6536d38fa37da58fac066342747e6d20fdace12ab5b287cf04506f2afe95b0        4 t.csv\n"
	if got := string(files["a-tree.txt"]); got != want {
		t.Errorf("the list is\n%s\nwant\n%s", got, want)
	}
}

// A version's results are written once. From then on they are compared, and a
// change of theirs is refused with what to do.
func TestCheck(t *testing.T) {
	testdata := t.TempDir()
	v1, v2 := filepath.Join(testdata, "golden-v1"), filepath.Join(testdata, "golden-v2")
	files := func(content ...string) map[string][]byte {
		m := map[string][]byte{}
		for i := 0; i < len(content); i += 2 {
			m[content[i]] = []byte(content[i+1])
		}
		return m
	}
	for _, step := range []struct {
		dir    string
		files  map[string][]byte
		update bool
		want   []string // in the error; none for no error
	}{
		{v1, files("a", "1\n"), false, []string{"golden-v1 has no a: go test -update writes it"}},
		{v1, files("a", "1\n"), true, nil},
		{v1, files("a", "1\n"), false, nil},
		{v1, files("a", "2\n"), false, []string{"-1\n+2\n", "increase the version in Define", "remove " + v1}},
		{v1, files("a", "2\n"), true, []string{"-1\n+2\n", "does not overwrite"}},
		{v1, files("a", "1\n"), false, nil},
		{v1, files("a", "1\n", "b", "3\n"), false, []string{"has no b"}},
		{v1, files("a", "1\n", "b", "3\n"), true, nil},
		{v1, files("a", "2\n", "c", "3\n"), true, []string{"-1\n+2\n", "b is no longer made"}},
		{v2, files("a", "2\n", "b", "3\n"), false, []string{"golden-v2 has no a", "against " + v1, "-1\n+2\n"}},
		{v2, files("a", "1\n", "b", "3\n"), false, []string{"golden-v2 has no a", "the results are those in " + v1}},
		{v2, files("a", "2\n"), true, nil},
		{v2, files("a", "2\n"), false, nil},
	} {
		err := check(step.dir, step.files, step.update)
		if (err == nil) != (len(step.want) == 0) {
			t.Fatalf("%s: got %v, want %q", step.dir, err, step.want)
		}
		for _, want := range step.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", step.dir, err, want)
			}
		}
	}
	if _, err := os.Stat(v1); err == nil {
		t.Error("the results of version 1 are still there")
	}
}
