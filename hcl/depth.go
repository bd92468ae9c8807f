package hcl

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxDepth is how deep brackets, and operators that nest, may be nested. HCL's
// parser recurses; without a limit a text of brackets would exhaust the stack.
const maxDepth = 2000

// tooDeep reports text that is nested deeper than a person would write it.
func tooDeep(src []byte, filename string) *hcl.Diagnostic {
	if !suspicious(src) {
		return nil
	}
	tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos)
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl,
			hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenNewline:
			if depth < 0 {
				depth = 0
			}
		}
		if depth > maxDepth {
			return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Nested too deeply", Subject: t.Range.Ptr(),
				Detail: fmt.Sprintf("Expressions and blocks may be nested %d deep.", maxDepth)}
		}
	}
	return nil
}

// suspicious tells, without reading tokens, whether the text could be nested
// too deeply at all.
func suspicious(src []byte) bool {
	n := 0
	for _, c := range src {
		switch c {
		case '{', '[', '(', '!', '-', '?':
			n++
		case '}', ']', ')', ';', '=':
			n--
		}
		if n > maxDepth {
			return true
		}
		n = max(n, 0)
	}
	return false
}
