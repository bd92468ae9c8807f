package data

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// twoSamples is a shard of two samples, whose members are blocks of zeros but for what
// they need: so a cut shard ends with zeros, too.
func twoSamples(t testing.TB) []byte {
	black := make([]byte, 3*blockSize)
	return tarFile(t, member{"1.cls", []byte("0")}, member{"1.png", black}, member{"2.cls", []byte("1")}, member{"2.png", black})
}

// A shard that was cut, wherever that is, is an error that says so.
func TestCutShard(t *testing.T) {
	whole := twoSamples(t)
	if found, err := indexTar(t.Context(), bytes.NewReader(whole)); err != nil || len(found.samples) != 2 {
		t.Fatalf("whole: %+v, %v", found, err)
	}
	for n := range len(whole) {
		if found, err := indexTar(t.Context(), bytes.NewReader(whole[:n])); !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut after %d bytes of %d: %+v, %v", n, len(whole), found, err)
		}
	}
	root := writeTree(t, map[string][]byte{"train-0.tar": whole, "train-1.tar": whole[:6*blockSize], "val.tar": whole})
	_, err := ListShards(t.Context(), root, 3, upright)
	if !errors.Is(err, ErrTruncated) || !strings.HasPrefix(err.Error(), "train-1.tar: truncated: the two empty blocks are missing") {
		t.Errorf("cut between two samples: %v", err)
	}
}

// What follows the end of a shard is not left out in silence; padding is none.
func TestAfterTheShard(t *testing.T) {
	whole := twoSamples(t)
	if _, err := indexTar(t.Context(), bytes.NewReader(append(bytes.Clone(whole), make([]byte, 20*blockSize)...))); err != nil {
		t.Errorf("padded: %v", err)
	}
	for _, more := range [][]byte{whole, []byte("x")} {
		_, err := indexTar(t.Context(), bytes.NewReader(slices.Concat(whole, more)))
		if err == nil || !strings.Contains(err.Error(), "after the end of the archive: were two archives joined? Pack them anew") {
			t.Errorf("%d bytes more: %v", len(more), err)
		}
	}
}

// A label is one number that a set may have; else the error names the sample, and no
// memory is taken for the classes below it.
func TestLabels(t *testing.T) {
	for label, want := range map[string]string{
		"0": "", " 65535\n": "", "007": "",
		"999999999":                   "train.tar: 1.cls: label 999999999: larger than allowed (at most 65535)",
		"65536":                       "train.tar: 1.cls: label 65536: larger",
		"99999999999999999999":        "train.tar: 1.cls: label 99999999999999999999: larger",
		"-1":                          `train.tar: 1.cls: "-1" is no label: want a number from 0`,
		"-99999999999999999999":       "is no label",
		"1 2":                         `"1 2" is no label`,
		"1.0":                         "is no label",
		"":                            `"" is no label`,
		"7" + strings.Repeat(" ", 40): "is no label",
	} {
		root := writeTree(t, map[string][]byte{
			"train.tar": tarFile(t, member{"1.cls", []byte(label)}, member{"1.png", nil}),
			"val.tar":   tarFile(t, member{"1.cls", []byte("0")}, member{"1.png", nil}),
		})
		_, err := ListShards(t.Context(), root, 3, upright)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("label %q: %v, want %q", label, err, want)
		}
	}
}

// More labels than names of classes, two labels of a sample, and what cannot be read at
// random are errors that name the sample or the shard.
func TestShardMistakes(t *testing.T) {
	one := tarFile(t, member{"1.cls", []byte("0")}, member{"1.png", nil})
	for _, test := range []struct {
		name, want string
		files      map[string][]byte
	}{
		{"classes", "classes.txt names 2 classes, but the label of train.tar: 7.png is 5", map[string][]byte{
			"classes.txt": []byte("a\nb\n"), "train.tar": tarFile(t, member{"7.cls", []byte("5")}, member{"7.png", nil}), "val.tar": one}},
		{"too many classes", "classes.txt: 65537 lines: larger than allowed", map[string][]byte{
			"classes.txt": bytes.Repeat([]byte("x\n"), 65537), "train.tar": one, "val.tar": one}},
		{"an empty line", "classes.txt: line 2 is empty: want the name of class 1", map[string][]byte{
			"classes.txt": []byte("a\r\n\r\nb\r\n"), "train.tar": one, "val.tar": one}},
		{"a line that is not UTF-8", "classes.txt: line 1 is not UTF-8", map[string][]byte{
			"classes.txt": []byte("\xff\n"), "train.tar": one, "val.tar": one}},
		{"two labels", "train.tar: 1.b.cls: a second label of the sample 1: want one", map[string][]byte{
			"train.tar": tarFile(t, member{"1.a.cls", []byte("0")}, member{"1.b.cls", []byte("1")}, member{"1.png", nil}), "val.tar": one}},
		{"compressed", "train-0.tar.gz is compressed, so that no image in it can be read by itself: unpack it", map[string][]byte{
			"train-0.tar.gz": gzipped(one), "val.tar": one}},
		{"compressed under another name", "train.tar: after 0 samples: ", map[string][]byte{"train.tar": gzipped(one), "val.tar": one}},
		{"not UTF-8", `"train-\xff.tar" is not UTF-8`, map[string][]byte{"train-\xff.tar": one, "val.tar": one}},
	} {
		if _, err := ListShards(t.Context(), writeTree(t, test.files), 3, upright); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// Members and files that are in no sample are counted and named.
func TestLeftOutOfShards(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "dir/", Typeflag: tar.TypeDir},
		{Name: "dir/1.cls", Size: 1}, {Name: "dir/1.png"}, {Name: "dir/1.json", Size: 2}, {Name: "dir/._1.png"},
		{Name: "dir/2.png", Typeflag: tar.TypeSymlink, Linkname: "1.png"},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, "00"[:h.Size])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	root := writeTree(t, map[string][]byte{"train.tar": b.Bytes(), "val.tar": b.Bytes(), "test-0.tgz": nil, "readme": nil, "old/train.tar": nil, "classes.txt": []byte("a\n")})
	l, err := ListShards(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"old/train.tar (not a shard of a part)", "readme (not a shard of a part)", "test-0.tgz (not a shard of a part)"}
	for _, shard := range []string{"train.tar", "val.tar"} {
		want = append(want, shard+": dir/1.json (neither called as an image is nor .cls)", shard+": dir/._1.png (hidden)", shard+": dir/2.png (a link or a device)")
	}
	if !slices.Equal(l.LeftOut.Names, want) || l.LeftOut.Count != len(want) {
		t.Errorf("left out %d: %q", l.LeftOut.Count, l.LeftOut.Names)
	}
}
