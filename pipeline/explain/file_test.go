package explain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Of two versions of a table the cells that differ are named, whatever rows were put in
// between or taken out; of other texts the first line.
func TestContentDifferences(t *testing.T) {
	const table = "name,ms\na,1\nb,2\nc,3\n"
	for _, test := range []struct{ what, new, want string }{
		{"a cell", "name,ms\na,1\nb,2.5\nc,3\n", "[line 3, column ms: 2 → 2.5]"},
		{"a row within", "name,ms\na,1\nx,9\nb,2\nc,3\n", "[line 3 is new: x, 9]"},
		{"rows gone", "name,ms\nc,3\n", "[lines 2 to 3 are gone]"},
		{"columns swapped, and a cell", "ms,name\n1,a\n2,b\n4,c\n", "[line 4, column ms: 3 → 4]"},
		{"another column", "name,us\na,1\nb,2\nc,3\n", `[column "ms" is gone column "us" is new]`},
		{"an empty cell", "name,ms\na,\nb,2\nc,3\n", `[line 2, column ms: 1 → ""]`},
	} {
		if got := fmt.Sprint(compareSheets([]byte(table), []byte(test.new))); got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
	}
	if got := compareSheets([]byte(table), []byte("name;ms\n")); got != nil {
		t.Errorf("no table: %s", got)
	}
	for _, test := range []struct{ old, new, want string }{
		{"a\nb\n", "a\nc\n", "[line 2: b → c]"}, {"a\n", "a\nb\n", "[line 2 is new: b]"}, {"a\nb\n", "a\n", "[line 2 is gone: b]"},
		{"a", "a\n", "[]"}, {"\xff", "a", "[]"}, {strings.Repeat("x", 100), "y", "[line 1: " + strings.Repeat("x", 60) + "… → y]"},
	} {
		if got := fmt.Sprint(compareTexts([]byte(test.old), []byte(test.new))); got != test.want {
			t.Errorf("%q → %q: %s, want %s", test.old, test.new, got, test.want)
		}
	}
}

// A path leads to the value that it names, also through names with dots, and to nothing
// where there is none.
func TestFind(t *testing.T) {
	var v any
	if err := json.Unmarshal([]byte(`{"a": [{"b.c": {"d": 1}}], "e f": 2, "g[0]": 3}`), &v); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"": "map[a:[map[b.c:map[d:1]]] e f:2 g[0]:3]", "a[0].b.c.d": "1", "a[0]": "map[b.c:map[d:1]]", `["e f"]`: "2", "g[0]": "3",
		"a[1]": "<nil>", "a[x": "<nil>", "a[0].b": "<nil>", "x.y": "<nil>", "a.b": "<nil>", "e f.x": "<nil>",
	} {
		if got := fmt.Sprint(find(v, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}
