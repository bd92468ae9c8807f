package pipeline

import (
	"bytes"
	"encoding/json"
	"testing"
)

// byTrees does what sortKeys does by decoding into maps and encoding them again.
func byTrees(b []byte, t *Type) ([]byte, error) {
	var tree any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	keyOnly(tree, t)
	return canonical(tree)
}

// keyOnly removes the fields that are not part of the key.
func keyOnly(tree any, t *Type) {
	switch t.Kind {
	case Object:
		m, ok := tree.(map[string]any)
		if !ok {
			return
		}
		for i := range t.Fields {
			f := &t.Fields[i]
			if !f.Key {
				delete(m, f.Name)
			} else if v, ok := m[f.Name]; ok {
				keyOnly(v, f.Type)
			}
		}
	case List:
		l, _ := tree.([]any)
		for _, v := range l {
			keyOnly(v, t.Elem)
		}
	case Map:
		m, _ := tree.(map[string]any)
		for _, v := range m {
			keyOnly(v, t.Elem)
		}
	}
}

// A preimage is what decoding, removing, sorting and encoding make, to the byte: records
// that exist must be found.
func FuzzSortKeys(f *testing.F) {
	key := func(name string, t *Type) Field { return Field{Name: name, Type: t, Key: true} }
	number := &Type{Kind: Number}
	inner := &Type{Kind: Object, Fields: []Field{key("z", number), {Name: "log", Type: number}, key("a", number)}}
	typ := &Type{Kind: Object, Fields: []Field{
		key("b", number), key("a", &Type{Kind: Any}), {Name: "log", Type: number}, key("in", inner),
		key("list", &Type{Kind: List, Elem: inner}), key("map", &Type{Kind: Map, Elem: inner}), key("é<", number),
	}}
	for _, seed := range []string{
		`{}`, `{"b":1,"a":{"y":1,"x":[{"d":1,"c":2}]},"log":2}`, `{"in":{"log":1,"z":2,"a":-0}}`, `{"list":[{"z":1,"log":2},null,[]],"map":{"log":{"log":1},"x":3}}`,
		`{"b":1.50,"b":2,"a":"\u00e9\u2028\/\ud800 \\ \" <&>"}`, "{\"\xff\":\"\xc3\x28\",\"é<\":true,\"\\u00e9\\u003c\":false}", `[1]`, `"x"`, `null`, `{"a":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var line bytes.Buffer
		if json.Compact(&line, b) != nil {
			_, _ = sortKeys(b, typ) // which takes for granted that it is JSON, and does not panic
			return
		}
		want, err := byTrees(line.Bytes(), typ)
		if err != nil {
			return
		}
		got, err := sortKeys(line.Bytes(), typ)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s\nbecomes %s, %v\nwant    %s", &line, got, err, want)
		}
	})
}
