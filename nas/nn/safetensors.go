package nn

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A file in the safetensors format: the length of the header (8 bytes, little
// endian), the header (JSON: name → dtype, shape, offsets; and __metadata__),
// then the tensors' bytes, here all F32.

// fileTensor is a tensor as it is in a file.
type fileTensor struct {
	name  string
	shape []int
	data  []float32
}

// header is a tensor's entry in a file's header.
type header struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// encodeTensors returns a file of the tensors, in their order.
func encodeTensors(meta map[string]string, list []fileTensor) []byte {
	var h bytes.Buffer
	fmt.Fprintf(&h, `{"__metadata__":%s`, must(json.Marshal(meta)))
	at := 0
	for _, t := range list {
		entry := must(json.Marshal(header{"F32", t.shape, [2]int{at, at + 4*len(t.data)}}))
		fmt.Fprintf(&h, ",%s:%s", strconv.Quote(t.name), entry)
		at += 4 * len(t.data)
	}
	h.WriteByte('}')
	for h.Len()%8 != 0 {
		h.WriteByte(' ')
	}
	b := make([]byte, 0, 8+h.Len()+at)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Len()))
	b = append(b, h.Bytes()...)
	for _, t := range list {
		b = appendFloats(b, t.data)
	}
	return b
}

// must returns v; strings and numbers always have a JSON form.
func must(v []byte, err error) []byte {
	if err != nil {
		panic("nn: " + err.Error())
	}
	return v
}

// decodeTensors parses a file. It checks that each tensor is F32, of finite numbers,
// and that the tensors' bytes are all of the file's, once each.
func decodeTensors(b []byte) (meta map[string]string, tensors map[string]fileTensor, err error) {
	if len(b) < 8 {
		return nil, nil, errors.New("shorter than its header's length")
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(len(b)-8) {
		return nil, nil, fmt.Errorf("a header of %d bytes in a file of %d", n, len(b))
	}
	text, values := b[8:8+n], b[8+n:]
	tensors = map[string]fileTensor{}
	var all []span
	err = eachMember(text, func(name string, entry json.RawMessage) (err error) {
		if name == "__metadata__" {
			return json.Unmarshal(entry, &meta)
		}
		t, at, err := decodeTensor(name, entry, values)
		if err != nil {
			return err
		}
		tensors[name], all = t, append(all, at)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	return meta, tensors, tile(all, len(values))
}

// eachMember calls f for each member of a JSON object. A name that is there twice is
// an error: of which tensor would the bytes be?
func eachMember(text []byte, f func(name string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("not a JSON object (%v)", err)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("%q is there twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := f(name, value); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// span is the bytes of a tensor.
type span struct {
	name     string
	from, to int
}

// tile checks that the spans are 0 to n, without gaps and overlaps.
func tile(all []span, n int) error {
	slices.SortFunc(all, func(a, b span) int { return cmp.Or(a.from-b.from, a.to-b.to, strings.Compare(a.name, b.name)) })
	at, before := 0, ""
	for _, s := range all {
		if s.from < at {
			return fmt.Errorf("tensor %q begins within tensor %q", s.name, before)
		}
		if s.from > at {
			return fmt.Errorf("%d bytes before tensor %q belong to none", s.from-at, s.name)
		}
		at, before = s.to, s.name
	}
	if at < n {
		return fmt.Errorf("%d bytes after the last tensor", n-at)
	}
	return nil
}

func decodeTensor(name string, entry json.RawMessage, data []byte) (t fileTensor, at span, err error) {
	var h header
	if err := json.Unmarshal(entry, &h); err != nil {
		return t, at, err
	}
	if h.DType != "F32" {
		return t, at, fmt.Errorf("type %q, want F32", h.DType)
	}
	from, to := h.Offsets[0], h.Offsets[1]
	if from < 0 || to < from || to > len(data) {
		return t, at, fmt.Errorf("bytes %d to %d of %d", from, to, len(data))
	}
	size := 4
	for _, s := range h.Shape {
		if s < 0 || s > len(data) || size*s > len(data) {
			return t, at, fmt.Errorf("shape %v is larger than the file", h.Shape)
		}
		size *= s
	}
	if size != to-from {
		return t, at, fmt.Errorf("shape %v in %d bytes", h.Shape, to-from)
	}
	t = fileTensor{name, h.Shape, floats(data[from:to])}
	if i := slices.IndexFunc(t.data, func(x float32) bool { return x-x != 0 }); i >= 0 {
		return t, at, fmt.Errorf("value %d is %v", i, t.data[i])
	}
	return t, span{name, from, to}, nil
}

// appendFloats appends values, little endian.
func appendFloats(b []byte, v []float32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// floats decodes what appendFloats wrote.
func floats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}
