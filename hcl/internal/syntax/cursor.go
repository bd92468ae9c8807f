package syntax

import (
	"slices"
	"sort"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// CursorKind is what may be written at a place.
type CursorKind int

// The kinds of places.
const (
	Nothing  CursorKind = iota // in a comment, or within a number
	ItemName                   // of an attribute or block in a body
	Label                      // of a block
	KeyName                    // in an object
	Operand                    // in an expression: a reference, function or literal
	Step                       // behind a dot
	Key                        // between the brackets behind a value
	Text                       // in quotes
)

// Cursor is a place in a text: what is written around it, and what may be.
type Cursor struct {
	Kind   CursorKind
	Frames []*Frame // outermost first
	Start  int      // of the word or text at the cursor, in bytes
	End    int
	Word   string // all of it, also what is behind the cursor
	Prefix string // what is before the cursor
	Called bool   // a bracket follows: it is a function's name
	Chain  string // what is before a Step's dot or a Key's bracket: stage.net["a"]
	Behind int    // where Chain ends
	Quoted bool   // a Label, KeyName or Key that is in quotes already
	Loops  []Loop // whose names can be referred to, outermost first

	word int // the token of the word
}

// Loop is a for around a place.
type Loop struct {
	Key, Value string // names, "" where there is none
	Over       string // the text of what is looped over
}

// Top returns the innermost frame, other than a Label's or Key's own quotes.
func (c *Cursor) Top() *Frame { return c.Frames[len(c.Frames)-1] }

// Written returns the names of the items in the innermost body or object, without the
// one that the cursor is at.
func (c *Cursor) Written() []string {
	var all []string
	for _, n := range c.Top().Names {
		if n.token != c.word {
			all = append(all, n.Text)
		}
	}
	return all
}

// Tokens are a text's.
type Tokens struct {
	src    []byte
	all    hclsyntax.Tokens
	starts []int // where the text's blocks begin, and no bracket is open
}

// Lex returns the tokens of a text.
func Lex(src []byte, filename string) *Tokens {
	all, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos)
	t := &Tokens{src: src, all: all, starts: []int{0}}
	r := newFramer(all)
	for i := range all {
		r.read(i)
		if len(r.stack) == 1 && r.top().Item == "" {
			t.starts = append(t.starts, i+1)
		}
	}
	return t
}

// At returns the place at a byte of the text.
func (t *Tokens) At(at int) *Cursor {
	src, tokens := t.src, t.all
	at = min(max(at, 0), len(src))
	// next is the first token that is not wholly before the cursor.
	next := sort.Search(len(tokens), func(i int) bool { return tokens[i].Range.End.Byte > at || tokens[i].Type == hclsyntax.TokenEOF })
	word := wordAt(tokens, next, at)
	if word >= 0 {
		next = word
	}
	r := newFramer(tokens)
	// What is before the block says nothing about what is in it, and may be long.
	start, _ := slices.BinarySearch(t.starts, next+1)
	for i := t.starts[max(start-1, 0)]; i < next; i++ {
		r.read(i)
	}
	around := slices.Clone(r.stack)
	c := &Cursor{Start: at, End: at, word: word}
	for _, f := range around {
		now := *f
		c.Frames = append(c.Frames, &now)
	}
	if word >= 0 {
		c.Start, c.End = tokens[word].Range.Start.Byte, tokens[word].Range.End.Byte
	}
	c.classify(src, tokens, next, at)
	for i := next; i < len(tokens) && len(r.stack) >= min(len(around), 2); i++ { // to the end of the block
		r.read(i)
	}
	for i, f := range c.Frames {
		f.Names = around[i].Names
	}
	c.Word, c.Prefix = string(src[c.Start:c.End]), string(src[c.Start:max(at, c.Start)])
	c.Called = word >= 0 && word+1 < len(tokens) && tokens[word+1].Type == hclsyntax.TokenOParen
	c.Loops = loops(src, tokens, c.Frames, at)
	return c
}

// wordAt returns the token of the name, or of the text in quotes, that the cursor is in
// or at the end of; -1 where there is none.
func wordAt(tokens hclsyntax.Tokens, next, at int) int {
	for _, i := range []int{next, next - 1} {
		if i < 0 || i >= len(tokens) || tokens[i].Range.Start.Byte > at || tokens[i].Range.End.Byte < at {
			continue
		}
		switch tokens[i].Type {
		case hclsyntax.TokenIdent, hclsyntax.TokenQuotedLit:
			return i
		}
	}
	return -1
}

// classify sets what kind of place it is, before the token next.
func (c *Cursor) classify(src []byte, tokens hclsyntax.Tokens, next, at int) {
	if inComment(tokens, next, at) {
		return
	}
	top := c.Top()
	quote := top
	if top.Kind == Quote {
		if tokens[top.open].Type == hclsyntax.TokenOHeredoc || next != top.open+1 && c.word != top.open+1 {
			c.Kind = Text // of several parts
			return
		}
		c.Frames = c.Frames[:len(c.Frames)-1]
		top, c.Quoted, next = c.Top(), true, quote.open
	}
	var before hclsyntax.TokenType
	if next > 0 {
		before = tokens[next-1].Type
	}
	switch {
	case before == hclsyntax.TokenDot && !c.Quoted:
		c.Kind = Step
		c.chain(src, tokens, next-1)
	case before == hclsyntax.TokenNumberLit && tokens[next-1].Range.End.Byte == at:
		c.Kind = Nothing
	case top.Kind == Subscript && top.open == next-1:
		c.Kind = Key
		c.chain(src, tokens, top.open)
	case top.Kind == Body && !top.Value && top.Item == "" && !c.Quoted:
		c.Kind = ItemName
	case top.Kind == Body && !top.Value:
		c.Kind = Label
	case top.Kind == Object && !top.loop && !top.Value:
		if top.Item == "" {
			c.Kind = KeyName
		}
	case c.Quoted:
		c.Kind = Text
	default:
		c.Kind = Operand
	}
}

func inComment(tokens hclsyntax.Tokens, next, at int) bool {
	if next >= len(tokens) {
		return false
	}
	t := tokens[next]
	return t.Type == hclsyntax.TokenComment && t.Range.Start.Byte < at
}

// chain sets the text of the value before the dot or bracket at a token.
func (c *Cursor) chain(src []byte, tokens hclsyntax.Tokens, at int) {
	begin := chainStart(tokens, at-1)
	if begin < 0 {
		return
	}
	c.Behind = tokens[at-1].Range.End.Byte
	c.Chain = string(src[tokens[begin].Range.Start.Byte:c.Behind])
}

// chainStart returns the first token of the value that ends with the token at i, such
// as stage.net["a"] or values(stage.net)[*]; -1 where no value ends there.
func chainStart(tokens hclsyntax.Tokens, i int) int {
	for i >= 0 {
		switch tokens[i].Type {
		case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenStar:
			if i < 2 || tokens[i-1].Type != hclsyntax.TokenDot {
				if tokens[i].Type != hclsyntax.TokenIdent {
					return -1
				}
				return i
			}
			i -= 2
		case hclsyntax.TokenCBrack:
			open := opening(tokens, i)
			if open <= 0 || tokens[open-1].Range.End.Byte != tokens[open].Range.Start.Byte {
				return -1
			}
			i = open - 1
		case hclsyntax.TokenCParen:
			open := opening(tokens, i)
			if open > 0 && tokens[open-1].Type == hclsyntax.TokenIdent && tokens[open-1].Range.End.Byte == tokens[open].Range.Start.Byte {
				return open - 1
			}
			return open
		default:
			return -1
		}
	}
	return -1
}

// opening returns the token that the closing bracket at i belongs to, -1 without one.
func opening(tokens hclsyntax.Tokens, i int) int {
	for depth := 0; i >= 0; i-- {
		switch tokens[i].Type {
		case hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCBrace, hclsyntax.TokenTemplateSeqEnd:
			depth++
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOBrace, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// loops returns the loops in which the cursor is, behind their colon.
func loops(src []byte, tokens hclsyntax.Tokens, frames []*Frame, at int) []Loop {
	var all []Loop
	for _, f := range frames {
		if !f.loop {
			continue
		}
		if l, ok := loopAt(src, tokens, f.open+2, at); ok {
			all = append(all, l)
		}
	}
	return all
}

// loopAt reads a loop from the token behind its "for" on, up to its colon, which must
// come before the cursor.
func loopAt(src []byte, tokens hclsyntax.Tokens, i, at int) (l Loop, ok bool) {
	var names []string
	for ; i < len(tokens) && string(tokens[i].Bytes) != "in"; i++ {
		switch tokens[i].Type {
		case hclsyntax.TokenIdent:
			names = append(names, string(tokens[i].Bytes))
		case hclsyntax.TokenComma:
		default:
			return l, false
		}
	}
	begin, depth := i+1, 0
	for i = begin; i < len(tokens) && tokens[i].Range.Start.Byte < at; i++ {
		switch tokens[i].Type {
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOBrace, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCBrace, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenColon:
			if depth > 0 || len(names) == 0 || i == begin {
				continue
			}
			l.Value = names[len(names)-1]
			if len(names) > 1 {
				l.Key = names[0]
			}
			l.Over = string(src[tokens[begin].Range.Start.Byte:tokens[i-1].Range.End.Byte])
			return l, true
		}
	}
	return l, false
}
