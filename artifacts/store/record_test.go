package store

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/seal"
)

// A record's format is what records of earlier versions are in.
func TestRecordFormat(t *testing.T) {
	r := Record{Preimage: json.RawMessage(`{"a":"<b>"}`), Output: json.RawMessage(`[1]`), Step: "step"}
	r.Action = artifacts.NewActionID(r.Preimage)
	b, err := EncodeRecord(r)
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

// Any bytes are the record of the action or are refused; a record that is
// accepted names its action, and is kept as it is.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"preimage":{"a":1},"output":[1.50,"<&>"],"objects":[{"$object":"` + artifacts.Sum(nil).String() + `","size":1}]}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"preimage":{ }}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		DecodeRecord(b, artifacts.ActionID{})
		DecodeRecord(seal.Wrap("record 1", b), artifacts.ActionID{})
		var r Record
		if json.Unmarshal(b, &r) != nil {
			return
		}
		r.Action = artifacts.NewActionID(r.Preimage)
		kept, err := EncodeRecord(r)
		if err != nil {
			return
		}
		got, err := DecodeRecord(kept, r.Action)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Preimage, r.Preimage) {
			t.Fatalf("preimage %s, then %s", r.Preimage, got.Preimage)
		}
	})
}

// A record keeps nothing of the bytes that it was decoded from: Lookup reads the
// next one into the same buffer.
func TestRecordIsACopy(t *testing.T) {
	r := testRecord(1)
	b, err := EncodeRecord(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(b, r.Action)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !bytes.Equal(got.Preimage, r.Preimage) || !bytes.Equal(got.Output, r.Output) || got.Step != r.Step {
		t.Errorf("the record became %+v", got)
	}
}

// What compact takes for granted aside, it does what json.Compact does.
func FuzzCompact(f *testing.F) {
	f.Add([]byte("{ \"a\\\\\": [ 1,\t\"b \\\" \", null ],\r\n \"\\u0041\": { } }"))
	f.Add([]byte(`"`))
	f.Add([]byte(`"\`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := compact(b)
		var want bytes.Buffer
		if json.Compact(&want, b) == nil && !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%q becomes %q, want %q", b, got, want.Bytes())
		}
	})
}

// The short way to read a record gives what package json gives, or leaves it to that.
func FuzzPlainRecord(f *testing.F) {
	for _, r := range []Record{testRecord(1), {Step: "s[\"k\"]", Output: []byte(`{"a":[1,"]}",{"b":"\\\""}]}`)}, {Objects: []artifacts.File{{Size: 3, Tree: true}, {Name: "n"}}}} {
		b, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"action":"` + artifacts.ActionID{}.String() + `","preimage":1,"output":"x","objects":null,"step":"","run":"","started":"0001-01-01T00:00:00Z","elapsed":-0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) {
			return
		}
		line := compact(b)
		got, ok := readPlain(line)
		if !ok {
			return
		}
		var want Record
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatalf("%s is read, though: %v", line, err)
		}
		if len(want.Objects) == 0 {
			want.Objects = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\nread as %+v\nwant    %+v", line, got, want)
		}
	})
}

// What is written is read in the short way.
func TestRecordsArePlain(t *testing.T) {
	r := testRecord(3)
	r.Step = `s["a key"]`
	r.Objects = []artifacts.File{{Digest: artifacts.Sum([]byte("a")), Size: 1}, {Digest: artifacts.Sum([]byte("b")), Size: 2, Tree: true}}
	b, err := EncodeRecord(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := seal.Open("record 1", b)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := readPlain(compact(body)); !ok {
		t.Errorf("%s is left to package json", body)
	}
}
