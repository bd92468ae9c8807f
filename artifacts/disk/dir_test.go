package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/artifacts/blob"
	"eyrie/artifacts/blob/blobtest"
	"eyrie/artifacts/seal"
)

func TestBucket(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Bucket {
		d, err := Open(filepath.Join(t.TempDir(), "store"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		return d
	})
}

// What is not a store is not made one, and a store of a newer format is left
// alone; the error says what to do.
func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name, file, content string
		want                string
	}{
		{"a directory of the user's", "thesis.tex", "", "not a store"},
		{"a newer store", "format", string(formatFile(layout + 1)), "newer"},
		{"a strange store", "format", string(seal.Wrap("format", []byte(`"x"`))), "newer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.content), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want one with %q and the path", err, test.want)
			}
		})
	}
	if _, err := Open(filepath.Join(os.DevNull, "store")); err == nil {
		t.Error("a device holds a store")
	}
}

// List yields blobs and nothing else that lies in the directory: a file of
// another name, a directory in a blob's place, what is being made.
func TestListSkipsWhatIsNoBlob(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	key := blob.Key{Kind: blob.Object}
	if err := d.Put(t.Context(), key, strings.NewReader("blob")); err != nil {
		t.Fatal(err)
	}
	inPlace := blob.Key{Kind: blob.Object, Hash: [32]byte{31: 1}}
	if err := os.Mkdir(d.File(inPlace), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{d.File(key) + "~", d.Path("objects", "00", "notes"), d.Path("objects", "notes"), d.Path("tmp", "half")} {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for info, err := range d.List(t.Context(), blob.Object) {
		if n++; err != nil || info.Key != key {
			t.Errorf("listed %+v, %v", info, err)
		}
	}
	if n != 1 {
		t.Errorf("listed %d blobs, want 1", n)
	}
	if _, err := d.Stat(t.Context(), inPlace); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of a directory: %v", err)
	}
}
