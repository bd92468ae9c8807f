package hcl_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"eyrie/hcl"
)

// Mistakes are underlined, whatever is before and after them, and wrapped and
// coloured as asked.
func TestWrite(t *testing.T) {
	const text = "stage \"table\" \"t\" {\n\ttitle = [\n\t\t\"äöü\", nope,\n\t]\r\n  any = [for x in 3 :\n    x\n  ]\n}"
	_, diags := loadText(t, text, hcl.Options{})
	show := func(width int, color bool) string {
		var b strings.Builder
		if err := diags.Write(&b, width, color); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	plain := show(0, false)
	for _, want := range []string{
		" line 3, in stage \"table\" \"t\":\n   3: \t\t\"äöü\", nope,\n      \t\t       ^^^^\n\nThere is nothing called \"nope\"",
		" line 5, in stage \"table\" \"t\":\n   5:   any = [for x in 3 :\n",
	} {
		if !strings.Contains(plain, want) {
			t.Errorf("%s\nlacks %q", plain, want)
		}
	}
	for _, line := range strings.Split(show(40, false), "\n") {
		if len(line) > 60 && !strings.Contains(line, "test.hcl") {
			t.Errorf("not wrapped: %s", line)
		}
	}
	if colored := show(0, true); !strings.Contains(colored, "\x1b[31;1mError:\x1b[0m") || !strings.Contains(colored, "\x1b[31;1m^^^^\x1b[0m") {
		t.Errorf("no colours: %q", colored)
	}
}

// For machines, a diagnostic has its place and the line it is on.
func TestAll(t *testing.T) {
	_, diags := loadText(t, "stage \"table\" \"t\" {\n  titel = 1\n}\n", hcl.Options{})
	b, err := json.Marshal(diags.All())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"severity":"error","summary":"Unknown attribute"`, `Did you mean \"title\"?`, `"snippet":"  titel = 1"`,
		`"start":{"line":2,"column":3,"byte":22},"end":{"line":2,"column":8,"byte":27}`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s\nlacks %s", b, want)
		}
	}
}

// Of a very long line the part at fault is shown; wide characters take two columns.
func TestWriteExcerpt(t *testing.T) {
	for _, before := range []string{"", strings.Repeat("é", 50_000)} {
		_, diags := loadText(t, `locals { x = "`+before+`目录${nope}`+strings.Repeat("é", 50_000)+`" }`, hcl.Options{})
		var b strings.Builder
		if err := diags.Write(&b, 0, false); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(b.String(), "\n")
		if len(lines[3]) > 300 || !utf8.ValidString(lines[3]) {
			t.Errorf("%d bytes: %q", len(lines[3]), lines[3])
		}
		at := strings.Index(lines[3], "nope")
		if at < 0 || runewidth.StringWidth(lines[3][:at]) != strings.Index(lines[4], "^^^^") {
			t.Errorf("\n%s\n%s", lines[3], lines[4])
		}
	}
}
