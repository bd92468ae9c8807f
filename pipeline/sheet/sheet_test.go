package sheet

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What spreadsheets and people write is read alike.
func TestParse(t *testing.T) {
	for _, text := range []string{
		"a,b\n1,x y\n,\"2,\"\"3\"\"\"\n",
		"\ufeffa,b\r\n1,x y\r\n,\"2,\"\"3\"\"\"",
		"a,b\r1,x y\r,\"2,\"\"3\"\"\"\r",
		" a , b\n\n1, x y\n, \"2,\"\"3\"\"\"\n",
	} {
		s, err := Parse("t.csv", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if !slices.Equal(s.Columns, []string{"a", "b"}) || len(s.Rows) != 2 ||
			!slices.Equal(s.Rows[0].Cells, []string{"1", "x y"}) || !slices.Equal(s.Rows[1].Cells, []string{"", `2,"3"`}) {
			t.Errorf("%q: got %+v", text, s)
		}
	}
	s, err := Parse("", []byte("# made by hand\nn,#k\n# more\n1,2\n"), Comments)
	if err != nil || s.Columns[1] != "#k" || len(s.Rows) != 1 || s.Rows[0].Line != 4 || s.Line != 2 {
		t.Errorf("got %+v, %v", s, err)
	}
}

// What could be misread is a mistake that tells its line and what to write.
func TestMistakes(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "t.csv:1: the text is empty; its first line must name the columns"},
		{"\ufeff\n", "t.csv:1: the text is empty; its first line must name the columns"},
		{"x,y,x\n1,2,3\n", `t.csv:1: column "x" is there twice`},
		{"\n\nx,y, x\n1,2,3\n", `t.csv:3: column "x" is there twice`},
		{"x,\n1,2\n", "t.csv:1: column 2 of 2 has no name: name it, or take it out"},
		{"x,y\n1,2\n1\n", "t.csv:3: 1 cell where line 1 names 2 columns; a cell may be empty, but the comma stays"},
		{"x,y\n\"1\n2\",2\n1,2,3\n", "t.csv:4: 3 cells where line 1 names 2 columns; a cell may be empty, but the comma stays"},
		{"x;y\n1,5;2\n", "t.csv:1: the cells have semicolons between them: write commas (and numbers with a point, 1.5)"},
		{"x\ty\n1\t2\n", "t.csv:1: the cells have tabs between them: write commas (and numbers with a point, 1.5)"},
		{"\xff\xfex\x00,\x00y\x00\n\x00", "t.csv:1: this is UTF-16: save it as CSV in UTF-8"},
		{"x,y\n1,2\n\x003\x00", "t.csv:3: a zero byte, which no text has (UTF-16 and spreadsheets' own files do): save it as CSV in UTF-8"},
		{"x,y\n1,µ\n2,\xb5\n", "t.csv:3: byte 0xb5 is not UTF-8: save it as CSV in UTF-8"},
		{"x,y\n1,\"2\n", `t.csv:2: extraneous or missing " in quoted-field`},
	}
	for _, test := range tests {
		if _, err := Parse("t.csv", []byte(test.text)); err == nil || err.Error() != test.want {
			t.Errorf("%q:\n got %v\nwant %s", test.text, err, test.want)
		}
	}
	if _, err := Parse("", []byte("x,x\n")); err == nil || err.Error() != `line 1: column "x" is there twice` {
		t.Errorf("without a name: %v", err)
	}
}

// A spreadsheet executes no text, and text that is a number stays one.
func TestText(t *testing.T) {
	for _, s := range []string{"=1+1", "+1+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1", "-", "- no"} {
		if got := Text(s); got != "'"+s {
			t.Errorf("%q is written %q", s, got)
		}
	}
	for _, s := range []string{"", "a=1", "-1.5", "+2e-3", "–", "−3 %", "MobileNetV2", "'quoted'"} {
		if got := Text(s); got != s {
			t.Errorf("%q is written %q", s, got)
		}
	}
}

// Whole numbers are exact as far as float64 is.
func TestNumber(t *testing.T) {
	negative := -1.0
	tests := []struct {
		v    float64
		want string
	}{
		{9007199254740992, "9007199254740992"}, {-9007199254740991, "-9007199254740991"}, {123456789012345, "123456789012345"},
		{1e20, "1e+20"}, {18014398509481984, "1.8014398509481984e+16"}, {0.1 + 0.2, "0.3"}, {0 * negative, "0"}, {86.8, "86.8"},
	}
	for _, test := range tests {
		if got := Number(test.v); got != test.want {
			t.Errorf("%v is written %s, want %s", test.v, got, test.want)
		}
	}
}

// Whatever the text, there is a table or a mistake with its line, and a table that is
// written reads as it was, but for carriage returns at the ends of lines within cells.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"a,b\n1,2\n", "\ufeffa\r\n\"x\"\"\ny\"\r\n", "a;b\n", "a,a\n", "a\rb\r", "\xff\xfea\x00", "\"\xb5", "#a\n", "\"a\r\r\nb\"", "\r\ufeffa\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("t.csv", text)
		if err != nil {
			rest, ok := strings.CutPrefix(err.Error(), "t.csv:")
			number, _, _ := strings.Cut(rest, ":")
			if line, e := strconv.Atoi(number); !ok || e != nil || line < 1 {
				t.Fatalf("the mistake names no line: %v", err)
			}
			return
		}
		lines := [][]string{s.Columns}
		for _, r := range s.Rows {
			if len(r.Cells) != len(s.Columns) {
				t.Fatalf("line %d has %d cells", r.Line, len(r.Cells))
			}
			lines = append(lines, r.Cells)
		}
		again, err := Parse("t.csv", Format(lines))
		if err != nil {
			t.Fatalf("%q: %v", Format(lines), err)
		}
		if len(again.Rows) != len(s.Rows) && len(s.Columns) > 1 { // an empty line is no row
			t.Fatalf("%d rows became %d", len(s.Rows), len(again.Rows))
		}
		same := func(a, b string) bool { return strings.ReplaceAll(a, "\r", "") == strings.ReplaceAll(b, "\r", "") }
		if !slices.EqualFunc(s.Columns, again.Columns, same) {
			t.Fatalf("%q became %q", s.Columns, again.Columns)
		}
	})
}
