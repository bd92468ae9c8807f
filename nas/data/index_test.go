package data

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func testIndex() Index {
	return Index{
		Header:  Header{Encoding: Encoded, Channels: 3, Classes: 2, Files: []string{"a/1.jpg", "b/ü.png"}, Reading: upright},
		Records: []Record{{Offset: 0, File: 0, Length: 9, Label: 0}, {Offset: 1 << 40, File: 1, Length: 1 << 31, Label: 1}},
	}
}

// An index survives its file.
func TestIndexRoundTrip(t *testing.T) {
	want := testIndex()
	got, err := ParseIndex(want.Marshal())
	want.Count = 2
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A wrong index is refused with a word on what is wrong.
func TestIndexDamage(t *testing.T) {
	b := testIndex().Marshal()
	label := bytes.Clone(b)
	label[len(label)-4] = 2
	file := bytes.Clone(b)
	file[len(file)-12] = 7
	raw := Index{Header: Header{Encoding: Raw, Channels: 1, Height: 2, Width: 2, Classes: 1}, Records: []Record{{Length: 5}}}
	for _, test := range []struct {
		name, want string
		b          []byte
	}{
		{"magic", "not an index file", []byte("EYRIEIX2")},
		{"header cut", "truncated", b[:20]},
		{"records cut", "truncated: 39 bytes", b[:len(b)-1]},
		{"label", "image 1: label 2", label},
		{"file", "image 1: file 7 of 2", file},
		{"raw length", "image 0: 5 bytes in file 0, want 4", raw.Marshal()},
		{"channels", "2 channels", Index{Header: Header{Encoding: Raw, Channels: 2}}.Marshal()},
	} {
		if _, err := ParseIndex(test.b); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// Whatever parses is encoded again to an index that parses to the same.
func FuzzIndex(f *testing.F) {
	f.Add(testIndex().Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		ix, err := ParseIndex(b)
		if err != nil {
			return
		}
		again, err := ParseIndex(ix.Marshal())
		if err != nil || !reflect.DeepEqual(ix, again) {
			t.Fatalf("%+v became %+v, %v", ix, again, err)
		}
	})
}
