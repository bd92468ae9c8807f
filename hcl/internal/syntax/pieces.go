package syntax

import (
	"bytes"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// piece is about how many bytes are parsed at a time. The parser makes all tokens of a text
// before it reads the first, in a list that grows by a quarter at a time once it is long. For
// 10,000 blocks, which take 70 MB as trees, it allocates 105 MB beside them in pieces of 4 KiB,
// 175 MB in pieces of 32 KiB, and no less in smaller ones.
const piece = 4 << 10

// long is from which length on, in bytes, a text is parsed in pieces.
const long = 64 << 10

// parse parses a text, a long one in pieces and these side by side. A text with a mistake is
// parsed as a whole, so that messages do not depend on where it was cut.
func parse(src []byte, filename string) (*hcl.File, hcl.Diagnostics) {
	if len(src) > long {
		if body := parsePieces(src, filename); body != nil {
			return &hcl.File{Body: body, Bytes: src, Nav: around{body}}, nil
		}
	}
	return hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
}

// parsePieces returns the body of a text, nil where there is a mistake in it. Each piece ends
// with a line that is just a brace, as blocks do. Where such a line is part of a comment or a
// text instead, the piece before it is not complete, which is a mistake.
func parsePieces(src []byte, filename string) *hclsyntax.Body {
	starts := cut(src)
	bodies := make([]*hclsyntax.Body, len(starts))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(starts); i += workers {
				end := len(src)
				if i+1 < len(starts) {
					end = starts[i+1].Byte
				}
				file, diags := hclsyntax.ParseConfig(src[starts[i].Byte:end], filename, starts[i])
				if len(diags) == 0 {
					bodies[i] = BodyOf(file)
				}
			}
		})
	}
	wg.Wait()
	return join(bodies)
}

// cut returns where the pieces of a text begin.
func cut(src []byte) []hcl.Pos {
	starts := []hcl.Pos{hcl.InitialPos}
	end := []byte("\n}\n")
	for at := hcl.InitialPos; at.Byte+piece < len(src); {
		n := bytes.Index(src[at.Byte+piece:], end)
		if n < 0 {
			break
		}
		next := at.Byte + piece + n + len(end)
		at = hcl.Pos{Line: at.Line + bytes.Count(src[at.Byte:next], []byte("\n")), Column: 1, Byte: next}
		starts = append(starts, at)
	}
	return starts
}

// join makes one body of those of all pieces, nil where one is missing or an attribute is
// written twice.
func join(bodies []*hclsyntax.Body) *hclsyntax.Body {
	if slices.Contains(bodies, nil) {
		return nil
	}
	all, last := *bodies[0], bodies[len(bodies)-1]
	all.SrcRange.End, all.EndRange = last.SrcRange.End, last.EndRange
	for _, b := range bodies[1:] {
		for name := range b.Attributes {
			if all.Attributes[name] != nil {
				return nil
			}
		}
		maps.Copy(all.Attributes, b.Attributes)
		all.Blocks = append(all.Blocks, b.Blocks...)
	}
	return &all
}

// Fold returns a file that was parsed without its tree. Messages name the block around a place
// all the same: the tree is made again for the first of them.
func Fold(f *hcl.File, filename string) *hcl.File {
	src := f.Bytes // and no more of f is kept
	return &hcl.File{Bytes: src, Nav: folded(sync.OnceValue(func() *hclsyntax.Body {
		again, _ := parse(src, filename)
		return BodyOf(again)
	}))}
}

type folded func() *hclsyntax.Body

// ContextString returns what that of an [around] does.
func (f folded) ContextString(offset int) string {
	if body := f(); body != nil {
		return around{body}.ContextString(offset)
	}
	return ""
}

// around finds the block around a place, for messages, as the parser's own files do.
type around struct{ body *hclsyntax.Body }

// ContextString returns the first line of the block, without its brace.
func (a around) ContextString(offset int) string {
	for _, b := range a.body.Blocks {
		if b.Range().ContainsOffset(offset) {
			var line strings.Builder
			line.WriteString(b.Type)
			for _, l := range b.Labels {
				line.WriteString(" " + strconv.Quote(l))
			}
			return line.String()
		}
	}
	return ""
}
