package store

import (
	"bytes"
	"encoding/json"
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
	good := manifestHeader + f + "\"a\"\n" + f + "\"b/c\"\nd \"d\"\n"
	if m, err := decodeManifest([]byte(good)); err != nil || len(m) != 3 {
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
		if m, err := decodeManifest([]byte(manifestHeader + lines + "\n")); !errors.Is(err, errManifest) {
			t.Errorf("%s: %v, %v", what, m, err)
		}
	}
	if _, err := decodeManifest([]byte(strings.TrimSuffix(good, "\n"))); !errors.Is(err, errManifest) {
		t.Errorf("no end of line: %v", err)
	}
}

// A manifest's format is part of every tree's digest: it must not change unless
// the header does.
func TestManifestFormat(t *testing.T) {
	m := []entry{{"z\n", 'x', artifacts.Sum([]byte("z")), 1}, {"ü/f", 'f', artifacts.Sum(nil), 0}, {"e", 'd', artifacts.Digest{}, 0}}
	want := "eyrie tree 1\n" +
		"d \"e\"\n" +
		"x 594e519ae499312b29433b7dd8a97ff068defcba9755b6d5d00e84c524d67b06 1 \"z\\n\"\n" +
		"f e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 \"\\u00fc/f\"\n"
	if got := string(encodeManifest(m)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A record's format is what records of earlier versions are in.
func TestRecordFormat(t *testing.T) {
	r := Record{Preimage: json.RawMessage(`{"a":"<b>"}`), Output: json.RawMessage(`[1]`), Step: "step"}
	r.Action = artifacts.NewActionID(r.Preimage)
	b, err := encodeRecord(r)
	if err != nil {
		t.Fatal(err)
	}
	body := `{
 "action": "` + r.Action.String() + `",
 "preimage": {
  "a": "<b>"
 },
 "output": [
  1
 ],
 "objects": null,
 "step": "step",
 "run": "",
 "started": "0001-01-01T00:00:00Z",
 "elapsed": 0
}`
	want := `{"eyrie": "record 1", "sha256": "` + artifacts.Sum([]byte(body)).String() + `", "body": ` + body + "}\n"
	if string(b) != want || !json.Valid(b) {
		t.Errorf("got\n%swant\n%s", b, want)
	}
}

// Whatever is a manifest is one in one form only, and its paths stay inside.
func FuzzManifest(f *testing.F) {
	f.Add(encodeManifest([]entry{{"a", 'f', artifacts.Sum(nil), 0}, {"b/c\n\xff", 'x', artifacts.Sum(nil), 7}, {"d", 'd', artifacts.Digest{}, 0}}))
	f.Add([]byte(manifestHeader))
	f.Add([]byte(manifestHeader + "d \"a/b\"\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeManifest(b)
		if err != nil {
			return
		}
		if again := encodeManifest(slices.Clone(m)); !bytes.Equal(again, b) {
			t.Fatalf("%q, then %q", b, again)
		}
		for _, e := range m {
			if strings.HasPrefix(e.path, "/") || slices.Contains(strings.Split(e.path, "/"), "..") {
				t.Fatalf("path %q", e.path)
			}
		}
	})
}

// Any bytes are the record of the action or are refused; a record that is
// accepted names its action, and is kept as it is.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"preimage":{"a":1},"output":[1.50,"<&>"],"objects":[{"$object":"` + artifacts.Sum(nil).String() + `","size":1}]}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"preimage":{ }}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		decodeRecord(b, artifacts.ActionID{})
		decodeRecord(seal("record 1", b), artifacts.ActionID{})
		var r Record
		if json.Unmarshal(b, &r) != nil {
			return
		}
		r.Action = artifacts.NewActionID(r.Preimage)
		kept, err := encodeRecord(r)
		if err != nil {
			return
		}
		got, err := decodeRecord(kept, r.Action)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Preimage, r.Preimage) {
			t.Fatalf("preimage %s, then %s", r.Preimage, got.Preimage)
		}
	})
}

// Only what seal wrote is unsealed.
func FuzzSeal(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add(seal("kind", []byte(`1`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if body, err := unseal("kind", b); err == nil && !bytes.Equal(seal("kind", body), b) {
			t.Fatalf("unsealed %q of %q", body, b)
		}
		if body, err := unseal("kind", seal("kind", b)); err != nil || !bytes.Equal(body, b) {
			t.Fatalf("%q, then %q, %v", b, body, err)
		}
		if _, err := unseal("other", seal("kind", b)); err == nil {
			t.Fatal("unsealed as another kind")
		}
	})
}
