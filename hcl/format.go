package hcl

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format returns a recipe's text in the one style: indented by two spaces, the
// equal signs of neighbouring lines aligned, the last line ended. Text that
// cannot be parsed is returned as it is, with what is wrong with it.
func Format(src []byte, filename string) ([]byte, Diagnostics) {
	files := map[string]*hcl.File{filename: {Bytes: src}}
	if diag := tooDeep(src, filename); diag != nil {
		return src, newDiagnostics(hcl.Diagnostics{diag}, files)
	}
	file, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if diags.HasErrors() {
		return src, newDiagnostics(withoutCascade(diags), map[string]*hcl.File{filename: file})
	}
	if len(src) > 0 && src[len(src)-1] != '\n' {
		src = append(bytes.Clone(src), '\n')
	}
	return hclwrite.Format(src), Diagnostics{}
}
