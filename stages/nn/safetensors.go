package nn

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
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

// decodeTensors parses a file. It checks that each tensor is F32 and that its
// bytes are there.
func decodeTensors(b []byte) (meta map[string]string, tensors map[string]fileTensor, err error) {
	if len(b) < 8 {
		return nil, nil, errors.New("shorter than its header's length")
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(len(b)-8) {
		return nil, nil, fmt.Errorf("a header of %d bytes in a file of %d", n, len(b))
	}
	entries := map[string]json.RawMessage{}
	if err := json.Unmarshal(b[8:8+n], &entries); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	tensors = map[string]fileTensor{}
	for name, entry := range entries {
		if name == "__metadata__" {
			err = json.Unmarshal(entry, &meta)
		} else {
			tensors[name], err = decodeTensor(name, entry, b[8+n:])
		}
		if err != nil {
			return nil, nil, fmt.Errorf("header: %q: %w", name, err)
		}
	}
	return meta, tensors, nil
}

func decodeTensor(name string, entry json.RawMessage, data []byte) (t fileTensor, err error) {
	var h header
	if err := json.Unmarshal(entry, &h); err != nil {
		return t, err
	}
	if h.DType != "F32" {
		return t, fmt.Errorf("type %q, want F32", h.DType)
	}
	from, to := h.Offsets[0], h.Offsets[1]
	if from < 0 || to < from || to > len(data) {
		return t, fmt.Errorf("bytes %d to %d of %d", from, to, len(data))
	}
	size := 4
	for _, s := range h.Shape {
		if s < 0 || s > len(data) || size*s > len(data) {
			return t, fmt.Errorf("shape %v is larger than the file", h.Shape)
		}
		size *= s
	}
	if size != to-from {
		return t, fmt.Errorf("shape %v in %d bytes", h.Shape, to-from)
	}
	return fileTensor{name, h.Shape, floats(data[from:to])}, nil
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
