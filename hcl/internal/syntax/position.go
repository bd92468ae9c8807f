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
	p := hcl.Pos{Line: 1 + bytes.Count(src[:begin], []byte("\n")), Column: 1}
	if begin < at {
		all := func(data []byte, _ bool) (int, []byte, error) { return len(data), data, nil }
		s := hcl.NewRangeScannerFragment(src[begin:at], "", p, all)
		s.Scan()
		p = s.Range().End
	}
	p.Byte = at
	return p
}

// Offset returns the byte at a line and column, or the nearest one to it in the text.
func Offset(src []byte, line, column int) int {
	begin := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(src[begin:], '\n')
		if i < 0 {
			return len(src)
		}
		begin += i + 1
	}
	text, _, _ := bytes.Cut(src[begin:], []byte("\n"))
	n := sort.Search(len(text), func(n int) bool { return Position(text, n).Column >= column })
	for n < len(text) && !utf8.RuneStart(text[n]) {
		n++
	}
	return begin + n
}
