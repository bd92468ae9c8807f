package data

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"eyrie/nas/data/picture"
)

// drawn returns image i of side size as a JPEG or PNG file.
func drawn(t testing.TB, i, size int, format string) []byte {
	t.Helper()
	g := Shapes{Seed: 4, Size: size, Noise: 0.1}
	raw := make([]byte, size*size*3)
	g.Render(i, raw)
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	for p := range size * size {
		copy(img.Pix[4*p:], raw[3*p:3*p+3])
		img.Pix[4*p+3] = 255
	}
	var b bytes.Buffer
	var err error
	if format == "png" {
		err = png.Encode(&b, img)
	} else {
		err = jpeg.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeTree(t testing.TB, files map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	for name, b := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// member is an entry of a tar file.
type member struct {
	name    string
	content []byte
}

func tarFile(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A folder tree is listed in the order of its names, whatever else lies there.
func TestListFolder(t *testing.T) {
	root := writeTree(t, map[string][]byte{
		"train/dog/2.JPEG": nil, "train/dog/1.png": nil, "train/cat/deep/x.jpg": nil,
		"train/cat/._x.jpg": nil, "train/cat/notes.txt": nil, "train/.cache/a.jpg": nil, "train/readme.jpg": nil,
		"val/dog/9.jpg": nil,
	})
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"cat", "dog"}; !slices.Equal(l.ClassNames, want) {
		t.Errorf("classes %v, want %v", l.ClassNames, want)
	}
	var got []string
	for _, r := range l.Train.Records {
		got = append(got, fmt.Sprint(l.Train.Files[r.File], " ", r.Label))
	}
	if want := []string{"train/cat/deep/x.jpg 0", "train/dog/1.png 1", "train/dog/2.JPEG 1"}; !slices.Equal(got, want) {
		t.Errorf("train %v, want %v", got, want)
	}
	if len(l.Test.Records) != 1 || l.Test.Records[0].Label != 1 {
		t.Errorf("test %+v", l.Test)
	}
}

// A tree that is not what it should be is refused with what it should be.
func TestListFolderMistakes(t *testing.T) {
	for _, test := range []struct {
		files []string
		want  string
	}{
		{[]string{"cat/1.jpg"}, "has its training images in train/CLASS/"},
		{[]string{"train/1.jpg", "val/a/1.jpg"}, "train has no folder"},
		{[]string{"train/a/1.jpg"}, "want one of the folders test, val, validation, valid"},
		{[]string{"train/a/1.jpg", "val/b/1.jpg"}, `val: class "b" has no folder in train`},
		{[]string{"train/a/1.jpg", "train/b/1.txt", "val/a/1.jpg"}, `train: class "b" has no images`},
		{[]string{"train/a/1.mp4", "val/a/1.jpg"}, "train holds no images (.jpg, "},
	} {
		files := map[string][]byte{}
		for _, f := range test.files {
			files[f] = nil
		}
		if _, err := ListFolder(t.Context(), writeTree(t, files), 3, upright); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.files, err, test.want)
		}
	}
}

// Shards and folders of the same images give the same batches.
func TestShardsLikeFolder(t *testing.T) {
	folder, shards := map[string][]byte{}, map[string][]member{}
	for i := range 12 {
		format := []string{"jpg", "png"}[i%2]
		img := drawn(t, i, 20+i, format)
		part := []string{"train", "test"}[i/8]
		folder[fmt.Sprintf("%s/%d/%02d.%s", part, i/4%2, i, format)] = img
		shard := fmt.Sprintf("%s-%d.tar", part, i/4)
		shards[shard] = append(shards[shard],
			member{fmt.Sprintf("a.b/%02d.meta.json", i), []byte("{}")},
			member{fmt.Sprintf("a.b/%02d.cls", i), fmt.Appendf(nil, "%d\n", i/4%2)},
			member{fmt.Sprintf("a.b/%02d.img.%s", i, strings.ToUpper(format)), img})
	}
	files := map[string][]byte{"classes.txt": []byte("zero\none\n")}
	for name, members := range shards {
		files[name] = tarFile(t, members...)
	}
	files["test-3.tar"] = tarFile(t, member{"x.cls", []byte("1")}, member{"x.jpg", drawn(t, 99, 20, "jpg")})
	folder["test/1/99.jpg"] = drawn(t, 99, 20, "jpg")
	folderRoot, shardRoot := writeTree(t, folder), writeTree(t, files)
	a, err := ListFolder(t.Context(), folderRoot, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ListShards(t.Context(), shardRoot, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"zero", "one"}; !slices.Equal(b.ClassNames, want) || b.TestNames[0] != "test-2.tar: a.b/08.img.JPG" {
		t.Errorf("classes %v, names %v", b.ClassNames, b.TestNames)
	}
	for part, ix := range map[string][2]Index{"train": {a.Train, b.Train}, "test": {a.Test, b.Test}} {
		if got, want := read(t, ix[1], shardRoot), read(t, ix[0], folderRoot); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the shards' images differ from the folder's", part)
		}
	}
}

func read(t *testing.T, ix Index, root string) Batch {
	t.Helper()
	parsed, err := ParseIndex(ix.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSplit(parsed, root, []float64{0, 0, 0}, []float64{1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all := make([]int, s.Len())
	for i := range all {
		all[i] = i
	}
	var b Batch
	if err := s.Batch(t.Context(), all, View{Resolution: 16}, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// Damaged shards are refused with the member at which they are wrong.
func TestTarDamage(t *testing.T) {
	img := drawn(t, 1, 8, "png")
	whole := tarFile(t, member{"1.png", img}, member{"1.cls", []byte("3")})
	for _, test := range []struct {
		name, want string
		b          []byte
	}{
		{"truncated", "truncated", whole[:700]},
		{"no label", "sample 1 has an image and no label", tarFile(t, member{"1.png", img}, member{"2.cls", []byte("3")})},
		{"no image", "sample 1 has a label and no image", tarFile(t, member{"1.cls", []byte("3")})},
		{"two images", "1.b.jpg: a second image of the sample 1", tarFile(t, member{"1.a.jpg", img}, member{"1.b.jpg", img})},
		{"label", `1.cls: "dog" is no label`, tarFile(t, member{"1.png", img}, member{"1.cls", []byte("dog")})},
		{"negative", `"-1" is no label`, tarFile(t, member{"1.cls", []byte("-1")})},
		{"no tar", "after 0 samples", bytes.Repeat([]byte("x"), 2000)},
	} {
		if s, err := indexTar(t.Context(), bytes.NewReader(test.b)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v, want %q", test.name, s, err, test.want)
		}
	}
}

// The offsets in a shard are those of the images.
func TestTarOffsets(t *testing.T) {
	b := tarFile(t, member{strings.Repeat("long/", 60) + "1.png", []byte("first")}, member{strings.Repeat("long/", 60) + "1.cls", []byte(" 7 ")},
		member{"2.cls", []byte("0")}, member{"2.jpeg", []byte("second")})
	found, err := indexTar(t.Context(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"first", "second"} {
		s := found.samples[i]
		if got := string(b[s.offset : s.offset+int64(s.length)]); got != want || s.label != 7-7*i {
			t.Errorf("sample %d: %q with label %d", i, got, s.label)
		}
	}
}

// No tar file makes the reader panic, and what it finds has a place and a label.
func FuzzTar(f *testing.F) {
	f.Add(tarFile(f, member{"1.png", []byte("p")}, member{"1.cls", []byte("3")}))
	f.Add(twoSamples(f))
	f.Add(twoSamples(f)[:6*blockSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		found, err := indexTar(t.Context(), bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, s := range found.samples {
			if s.label < 0 || s.label >= maxClasses || s.offset+int64(s.length) > int64(len(b)) || s.offset < 512 || s.length < 0 {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// upright is how images are read by default.
var upright = picture.Reading{Orientation: picture.Upright, SixteenBit: picture.Clipped}

// Corrupt images are found, each with its position, and the statistics are of
// the others, on any number of threads.
func TestSurvey(t *testing.T) {
	files := map[string][]byte{"test/a/1.jpg": nil}
	for i := range 20 {
		files[fmt.Sprintf("train/a/%02d.jpg", i)] = drawn(t, i, 24, "jpg")
	}
	files["train/a/03.jpg"] = files["train/a/03.jpg"][:300]
	files["train/a/07.jpg"] = []byte("<html>")
	files["train/a/11.jpg"] = nil
	root := writeTree(t, files)
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	var first Stats
	for threads := 1; threads < 4; threads++ {
		found, err := Survey(t.Context(), l.Train, root, SurveyOptions{Threads: threads, Report: func(int) {}})
		if err != nil {
			t.Fatal(err)
		}
		var at []int
		for _, c := range found.Corrupt {
			at = append(at, c.Image)
		}
		if !slices.Equal(at, []int{3, 7, 11}) {
			t.Errorf("%d threads: corrupt %v", threads, found.Corrupt)
		}
		if threads == 1 {
			first = found.Stats
		}
		if stats := found.Stats; stats != first || stats.n[0] != 17*24*24 {
			t.Errorf("%d threads: statistics %+v, want %+v", threads, stats, first)
		}
	}
	os.Remove(filepath.Join(root, "train/a/05.jpg"))
	if _, err := Survey(t.Context(), l.Train, root, SurveyOptions{Threads: 2, Report: func(int) {}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
}

// An image that turned corrupt later is an error that names it, never a black
// picture.
func TestBatchCorrupt(t *testing.T) {
	root := writeTree(t, map[string][]byte{"train/a/1.jpg": drawn(t, 1, 24, "jpg"), "test/a/1.jpg": nil})
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSplit(l.Train, root, make([]float64, 3), make([]float64, 3))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(root, "train/a/1.jpg"), 400); err != nil {
		t.Fatal(err)
	}
	var b Batch
	err = s.Batch(t.Context(), []int{0}, View{Resolution: 8}, &b)
	if err == nil || !strings.Contains(err.Error(), "image 0 (train/a/1.jpg)") {
		t.Errorf("%v", err)
	}
}

// A set whose pixels are much larger than the memory that may be held is
// streamed within that memory.
func TestStreamBounded(t *testing.T) {
	const n, side = 400, 256
	files := map[string][]byte{"test/a/1.jpg": nil}
	pictures := [][]byte{drawn(t, 0, side, "jpg"), drawn(t, 1, side, "jpg")}
	for i := range n {
		files[fmt.Sprintf("train/a/%03d.jpg", i)] = pictures[i%2]
	}
	root := writeTree(t, files)
	clear(files)
	l, err := ListFolder(t.Context(), root, 3, upright)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSplit(l.Train, root, make([]float64, 3), make([]float64, 3))
	if err != nil {
		t.Fatal(err)
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var peak uint64
	for _, err := range s.Stream(t.Context(), Feed{Batch: 20, End: n / 20, Resolution: At(32), Threads: 2, Augment: fullAugment}) {
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC() // what is left is held, not garbage
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}
	held, whole := int64(peak)-int64(before.HeapAlloc), int64(n*side*side*3)
	t.Logf("held %d KiB of a set of %d KiB", held>>10, whole>>10)
	if held > whole/4 {
		t.Errorf("held %d bytes to stream a set of %d", held, whole)
	}
}

func BenchmarkDecode(b *testing.B) {
	img := drawn(b, 3, 400, "jpg")
	b.SetBytes(400 * 400 * 3)
	var d picture.Decoder
	for b.Loop() {
		if _, err := d.Decode(b.Context(), img, 3, upright); err != nil {
			b.Fatal(err)
		}
	}
}
