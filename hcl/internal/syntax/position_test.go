package syntax

import "testing"

// Lines and columns are found again from bytes, whatever is before them.
func TestPosition(t *testing.T) {
	const text = "ab\n\u00fcx\ne\u0301y\r\n\n\U0001F468\u200D\U0001F469z"
	for _, test := range []struct{ line, column, at int }{
		{1, 1, 0}, {1, 3, 2}, {2, 1, 3}, {2, 2, 5}, {2, 3, 6}, {3, 2, 10}, {3, 3, 11}, {4, 1, 13}, {5, 2, 25}, {5, 3, 26},
	} {
		p := Position([]byte(text), test.at)
		if p.Line != test.line || p.Column != test.column || p.Byte != test.at {
			t.Errorf("byte %d is at %+v, want line %d, column %d", test.at, p, test.line, test.column)
		}
		if at := Offset([]byte(text), test.line, test.column); at != test.at {
			t.Errorf("line %d, column %d is at byte %d, want %d", test.line, test.column, at, test.at)
		}
	}
	for _, test := range []struct{ line, column, at int }{{0, 0, 0}, {1, 99, 2}, {9, 1, len(text)}, {5, 99, len(text)}} {
		if at := Offset([]byte(text), test.line, test.column); at != test.at {
			t.Errorf("line %d, column %d is at byte %d, want %d", test.line, test.column, at, test.at)
		}
	}
	marked := []byte("\uFEFFab\nc") // a byte order mark is no character
	if p := Position(marked, 4); p.Line != 1 || p.Column != 2 || Offset(marked, 1, 2) != 4 || Offset(marked, 2, 1) != 6 {
		t.Errorf("after a byte order mark, byte 4 is at %+v", p)
	}
}
