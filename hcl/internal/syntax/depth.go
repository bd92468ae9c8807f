package syntax

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxDepth is how deep brackets, and operators that nest, may be nested. HCL's
// parser recurses; without a limit a text of brackets would exhaust the stack.
const maxDepth = 2000

// TooDeep reports text that is nested deeper than a person would write it.
func TooDeep(src []byte, filename string) *hcl.Diagnostic {
	if !suspicious(src) {
		return nil
	}
	tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos)
	n := nesting{choices: []int{0}}
	for _, t := range tokens {
		if n.read(t.Type) > maxDepth {
			return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Nested too deeply", Subject: t.Range.Ptr(),
				Detail: fmt.Sprintf("Expressions and blocks may be nested %d deep.", maxDepth)}
		}
	}
	return nil
}

// TooLong reports a number with more digits than can be read in a moment.
func TooLong(src []byte, filename string) *hcl.Diagnostic {
	if !longDigits(src) {
		return nil
	}
	tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos)
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenNumberLit && len(t.Bytes) > maxDigits {
			return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Number out of range", Subject: t.Range.Ptr(),
				Detail: fmt.Sprintf("A number is written with at most %d digits.", maxDigits)}
		}
	}
	return nil
}

// maxDigits is how many digits a number has at most.
const maxDigits = 20000

// longDigits reports whether there are more digits in a row than a number has.
func longDigits(src []byte) bool {
	row := 0
	for _, c := range src {
		if row++; (c < '0' || c > '9') && c != '.' {
			row = 0
		}
		if row > maxDigits {
			return true
		}
	}
	return false
}

// nesting counts how deep the parser would be after a token.
type nesting struct {
	choices []int // of each open bracket, outermost first: the conditionals within that are not at their end
	open    int   // the sum of choices
	signs   int   // operators in a row before an operand
}

func (n *nesting) read(t hclsyntax.TokenType) int {
	last := len(n.choices) - 1
	switch t {
	case hclsyntax.TokenBang, hclsyntax.TokenMinus:
		n.signs++
		return last + n.open + n.signs
	case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		n.choices = append(n.choices, 0)
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
		n.end()
		if last > 0 {
			n.choices = n.choices[:last]
		}
	case hclsyntax.TokenQuestion:
		n.choices[last]++
		n.open++
	case hclsyntax.TokenComma, hclsyntax.TokenEqual:
		n.end()
	}
	n.signs = 0
	return len(n.choices) - 1 + n.open
}

// end ends the conditionals of the innermost bracket.
func (n *nesting) end() {
	last := len(n.choices) - 1
	n.open -= n.choices[last]
	n.choices[last] = 0
}

// suspicious reports whether the text could be nested too deeply at all. It spares most
// texts the lexer, and counts what is in strings and comments as well.
func suspicious(src []byte) bool {
	brackets, signs, choices := 0, 0, 0
	for _, c := range src {
		switch c {
		case '!', '-':
			signs++
		case ' ', '\t', '\r', '\n':
			continue
		default:
			signs = 0
		}
		switch c {
		case '{', '[', '(':
			brackets++
		case '}', ']', ')':
			brackets = max(brackets-1, 0)
		case '?':
			choices++
		}
		if brackets+signs+choices > maxDepth {
			return true
		}
	}
	return false
}
