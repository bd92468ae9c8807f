package syntax

import (
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// An editor asks about text that is being typed, of which the parser makes no tree, or
// a poor one. Tokens are there at any time: frames are what they tell of the brackets
// around a place.

// FrameKind is what a frame's brackets hold.
type FrameKind int

// The kinds of frames.
const (
	Body      FrameKind = iota // of a block, or of the file
	Object                     // { name = value } in an expression
	Tuple                      // [ value, value ]
	Subscript                  // [ key ] behind a value
	Paren                      // ( value ), or a function's arguments
	Quote                      // text in quotes, or a heredoc
	Template                   // ${ value } in text
)

// Frame is a pair of brackets, of which the second one may be missing.
type Frame struct {
	Kind   FrameKind
	Type   string   // of a Body: the block's type; "" is the file
	Labels []string // of a Body: the block's labels
	Call   string   // of a Paren: the function
	Names  []Name   // of a Body or Object: those of its items so far, and in the end of all

	// The item of a Body or Object that is being read.
	Item   string // its name, "" where that is not read yet
	Value  bool   // its name and equal sign are read
	labels []string
	at     int // the token of its name

	open int  // its first token
	loop bool // it begins with "for"
	text string
}

// Name is the name of an item, an attribute or a block.
type Name struct {
	Text  string
	token int
}

// LabelsBefore returns the labels, so far, of the block that a Body's item begins.
func (f *Frame) LabelsBefore() []string { return f.labels }

func (f *Frame) itemized() bool { return (f.Kind == Body || f.Kind == Object) && !f.loop }

func (f *Frame) endItem() {
	f.Item, f.Value, f.labels = "", false, nil
}

func (f *Frame) named(name string, token int) { f.Item, f.at = name, token }

// framer reads tokens one after the other.
type framer struct {
	tokens hclsyntax.Tokens
	stack  []*Frame // outermost first; the file's is always there
}

func newFramer(tokens hclsyntax.Tokens) *framer {
	return &framer{tokens: tokens, stack: []*Frame{{Kind: Body, open: -1}}}
}

func (r *framer) top() *Frame { return r.stack[len(r.stack)-1] }

func (r *framer) push(f *Frame, open int) {
	f.open = open
	r.stack = append(r.stack, f)
}

// pop ends the innermost frame of one of the kinds, and those within it that nobody
// closed. It leaves frames alone that are around a body or an object.
func (r *framer) pop(kinds ...FrameKind) *Frame {
	for i := len(r.stack) - 1; i > 0; i-- {
		f := r.stack[i]
		if slices.Contains(kinds, f.Kind) {
			r.stack = r.stack[:i]
			return f
		}
		if f.Kind == Body || f.Kind == Object {
			break
		}
	}
	return nil
}

// read reads the token at i.
func (r *framer) read(i int) {
	t, f := r.tokens[i], r.top()
	switch t.Type {
	case hclsyntax.TokenNewline:
		r.newline(f)
	case hclsyntax.TokenComment: // one that is not /* */ has the line's end in it
		if t.Bytes[len(t.Bytes)-1] == '\n' {
			r.newline(f)
		}
	case hclsyntax.TokenIdent:
		r.word(f, i)
	case hclsyntax.TokenEqual, hclsyntax.TokenColon:
		if f.itemized() && f.Item != "" && !f.Value && (t.Type == hclsyntax.TokenEqual || f.Kind == Object) {
			f.Value = true
			f.Names = append(f.Names, Name{f.Item, f.at})
		}
	case hclsyntax.TokenComma:
		if f.Kind == Object && !f.loop {
			f.endItem()
		}
	case hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
		r.push(&Frame{Kind: Quote}, i)
	case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
		f.text += string(t.Bytes)
	case hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
		r.quoted(r.pop(Quote))
	case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		r.push(&Frame{Kind: Template}, i)
	case hclsyntax.TokenTemplateSeqEnd:
		r.pop(Template)
	case hclsyntax.TokenOBrace:
		r.brace(f, i)
	case hclsyntax.TokenCBrace:
		for r.top().Kind != Body && r.top().Kind != Object {
			r.stack = r.stack[:len(r.stack)-1]
		}
		if r.pop(Body, Object) != nil && r.top().Kind == Body && !r.top().Value {
			r.top().endItem()
		}
	case hclsyntax.TokenOBrack:
		if r.follows(i) {
			r.push(&Frame{Kind: Subscript}, i)
		} else {
			r.push(&Frame{Kind: Tuple}, i)
		}
	case hclsyntax.TokenCBrack:
		r.pop(Tuple, Subscript)
	case hclsyntax.TokenOParen:
		p := &Frame{Kind: Paren}
		if r.follows(i) && r.tokens[i-1].Type == hclsyntax.TokenIdent {
			p.Call = string(r.tokens[i-1].Bytes)
		}
		r.push(p, i)
	case hclsyntax.TokenCParen:
		r.pop(Paren)
	}
}

func (r *framer) newline(f *Frame) {
	if f.itemized() {
		f.endItem()
	}
}

func (r *framer) word(f *Frame, i int) {
	name := string(r.tokens[i].Bytes)
	switch {
	case name == "for" && f.open == i-1 && (f.Kind == Object || f.Kind == Tuple):
		f.loop = true
	case !f.itemized() || f.Value:
	case f.Item == "":
		f.named(name, i)
	case f.Kind == Body:
		f.labels = append(f.labels, name)
	}
}

// quoted reads the end of a text: a block's label, or an object's key.
func (r *framer) quoted(q *Frame) {
	f := r.top()
	switch {
	case q == nil || !f.itemized() || f.Value:
	case f.Kind == Body && f.Item != "":
		f.labels = append(f.labels, q.text)
	case f.Kind == Object && f.Item == "":
		f.named(q.text, q.open)
	}
}

func (r *framer) brace(f *Frame, i int) {
	if f.Kind != Body || f.Value {
		r.push(&Frame{Kind: Object}, i)
		return
	}
	f.Names = append(f.Names, Name{f.Item, f.at})
	r.push(&Frame{Kind: Body, Type: f.Item, Labels: f.labels}, i)
}

// follows reports whether the bracket at i comes directly behind a value.
func (r *framer) follows(i int) bool {
	if i == 0 || r.tokens[i-1].Range.End.Byte != r.tokens[i].Range.Start.Byte {
		return false
	}
	switch r.tokens[i-1].Type {
	case hclsyntax.TokenIdent, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
		return true
	}
	return false
}
