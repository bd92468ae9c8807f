package syntax

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// Position returns the place of a byte, which HCL counts in lines and characters as
// people see them.
func Position(src []byte, at int) hcl.Pos {
	at = min(max(at, 0), len(src))
	begin := bytes.LastIndexByte(src[:at], '\n') + 1
	if begin == 0 {
		begin = min(mark(src), at)
	}
	p := hcl.Pos{Line: 1 + bytes.Count(src[:begin], []byte("\n")), Column: 1}
	if text := bytes.TrimSuffix(src[begin:at], []byte("\r")); len(text) > 0 {
		all := func(data []byte, _ bool) (int, []byte, error) { return len(data), data, nil }
		s := hcl.NewRangeScannerFragment(text, "", p, all)
		s.Scan()
		p = s.Range().End
	}
	p.Byte = at
	return p
}

// Offset returns the byte at a line and column, or the last one before where the text,
// or the line, is shorter.
func Offset(src []byte, line, column int) int {
	begin, column := 0, max(column, 1)
	if line <= 1 {
		begin = mark(src)
	}
	for ; line > 1; line-- {
		i := bytes.IndexByte(src[begin:], '\n')
		if i < 0 {
			return len(src)
		}
		begin += i + 1
	}
	text, _, _ := bytes.Cut(src[begin:], []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	ends := []int{0} // of the characters; within one, columns do not grow with bytes
	for i := 0; i < len(text); {
		_, size := utf8.DecodeRune(text[i:])
		i += size
		ends = append(ends, i)
	}
	// What is combined with a character ends at the same column as the character.
	beyond := sort.Search(len(ends), func(i int) bool { return Position(text, ends[i]).Column > column })
	return begin + ends[beyond-1]
}

// mark returns the length of the byte order mark at the beginning of a text, which HCL
// counts as bytes but not as a character.
func mark(src []byte) int {
	if bytes.HasPrefix(src, []byte("\uFEFF")) {
		return len("\uFEFF")
	}
	return 0
}
