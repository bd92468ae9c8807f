package syntax

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

type navigation interface{ ContextString(offset int) string }

// A long text that is parsed in pieces has the tree, or the mistakes, that it has as a
// whole, wherever lines that look like a block's end are.
func TestPieces(t *testing.T) {
	block := func(i int, text string) string {
		return fmt.Sprintf("stage \"table\" \"s%d\" {\n  title = \"é %d\" # %s\n  rows  = [{ a = %d }]\n}\n\n", i, i, strings.Repeat("x", 100), i) + text
	}
	const n = 1000
	for _, test := range []struct{ name, text string }{
		{"blocks", ""},
		{"heredoc", "locals {\n  a = <<END\n}\n" + strings.Repeat("}\n", piece) + "END\n}\n"},
		{"comment", "/*\n}\n" + strings.Repeat("}\n", piece) + "*/\n"},
		{"template", "locals {\n  a = \"${[\n1\n]\n}\n\"\n}\n"},
		{"unclosed block", "stage \"a\" \"b\" {\n"},
		{"unclosed text", "locals { a = \"b\n}\n"},
		{"attributes", "a = 1\n"},
		{"brace too many", "}\n"},
		{"no newline", "}"},
	} {
		for _, at := range []int{0, n / 2, n - 1} {
			var all strings.Builder
			for i := range n {
				text := ""
				if i == at {
					text = test.text
				}
				all.WriteString(block(i, text))
			}
			src := []byte(all.String())
			got, diags := parse(src, "test.hcl")
			want, wantDiags := hclsyntax.ParseConfig(src, "test.hcl", hcl.InitialPos)
			if !reflect.DeepEqual(got.Body, want.Body) || !reflect.DeepEqual(diags, wantDiags) {
				t.Errorf("%s after block %d: the tree or its mistakes differ: %v, want %v", test.name, at, diags, wantDiags)
			}
			if test.name == "blocks" {
				for offset := 0; offset < len(src); offset += 997 {
					if g, w := got.Nav.(navigation).ContextString(offset), want.Nav.(navigation).ContextString(offset); g != w {
						t.Errorf("at byte %d is %s, want %s", offset, g, w)
					}
					if g, w := Fold(got, "test.hcl").Nav.(navigation).ContextString(offset), want.Nav.(navigation).ContextString(offset); g != w {
						t.Errorf("without the tree, at byte %d is %s, want %s", offset, g, w)
					}
				}
			}
		}
	}
	twice := "a = 1\n" + strings.Repeat("b {\n}\n", long) + "a = 2\n"
	if _, diags := parse([]byte(twice), "test.hcl"); !diags.HasErrors() {
		t.Error("an attribute that two pieces have is no mistake")
	}
	if len(cut([]byte(strings.Repeat("b {\n}\n", piece)))) < 5 {
		t.Error("a long text is not cut")
	}
}
