package hcl

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/syntax"
)

// Format returns a recipe's text in the one style: indented by two spaces, the
// equal signs of neighbouring lines aligned, the last line ended. Text that
// cannot be parsed is returned as it is, with what is wrong with it.
func Format(src []byte, filename string) ([]byte, Diagnostics) {
	file, diags := syntax.Parse(src, filename)
	if diags.HasErrors() {
		return src, diagnostic.New(diags, map[string]*hcl.File{filename: file})
	}
	if len(src) > 0 && src[len(src)-1] != '\n' {
		src = append(bytes.Clone(src), '\n')
	}
	return hclwrite.Format(src), Diagnostics{}
}
