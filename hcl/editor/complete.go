package editor

import (
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/builtin"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
)

// What may be written, other than a symbol.
const (
	Attribute Kind = "attribute" // in a block or object
	Block     Kind = "block"     // of a recipe
	StageType Kind = "stage type"
	Choice    Kind = "choice" // one of an attribute's values
	Field     Kind = "field"  // of an output or object
	Key       Kind = "key"    // of an instance or a map's element
	Name      Kind = "name"   // that a loop defines
	Root      Kind = "root"   // what references begin with
	Function  Kind = "function"
)

// Candidate is what may be written at a place.
type Candidate struct {
	Label    string // what it is called
	Insert   string // what is written in place of the completion's range
	Kind     Kind
	Type     string // "" where that is not known
	Doc      string
	Required bool // of an attribute
}

// Completion is all that may be written at a place.
type Completion struct {
	Range      Range // what a candidate takes the place of
	Candidates []Candidate
}

// Complete returns what may be written at a place, as far as it begins with what is
// written there before the place: attributes that a block lacks, an attribute's
// choices, what references may go on with, functions. Attributes come in the order of
// the schema, those that are required first; all else by name.
func (x *Index) Complete(file string, at Position) Completion {
	c := x.cursor(file, at)
	if c == nil {
		return Completion{}
	}
	m := &menu{c: c, begin: c.Start, end: c.End}
	m.fill()
	return Completion{Range: x.rangeOf(file, m.begin, m.end), Candidates: m.all}
}

// menu gathers candidates.
type menu struct {
	c          *cursor
	begin, end int // of what they take the place of
	all        []Candidate
}

func (m *menu) fill() {
	switch c := m.c; c.Kind {
	case syntax.ItemName:
		switch {
		case len(c.Frames) == 1:
			m.blocks()
		case c.Top().Type == pipeline.Declaration && len(c.Frames) == 3:
			m.add(Candidate{Label: grammar.Declared.Type, Kind: Block, Doc: grammar.Declared.Doc})
		default:
			m.attributes(c.object())
		}
	case syntax.KeyName:
		if !c.Quoted {
			m.attributes(c.object())
		}
	case syntax.Label:
		if c.Top().Item == "stage" && len(c.labels()) == 0 {
			m.stageTypes()
		}
	case syntax.Text:
		if f, _ := c.field(); f != nil {
			m.choices(f, "")
		}
	case syntax.Operand:
		m.operands()
	case syntax.Step:
		m.steps()
	case syntax.Key:
		m.keys()
	}
}

// labels returns the labels before the cursor.
func (c *cursor) labels() []string { return c.Top().LabelsBefore() }

// add adds a candidate that begins with what is written.
func (m *menu) add(n Candidate) {
	if n.Insert == "" {
		n.Insert = n.Label
	}
	if strings.HasPrefix(n.Insert, m.c.Prefix) || strings.HasPrefix(n.Label, m.c.Prefix) {
		m.all = append(m.all, n)
	}
}

func (m *menu) blocks() {
	for _, b := range grammar.Blocks {
		m.add(Candidate{Label: b.Type, Kind: Block, Doc: b.Doc})
	}
}

// attributes adds what an object may have and has not yet.
func (m *menu) attributes(t *pipeline.Type) {
	if t == nil {
		return
	}
	written := m.c.Written()
	for _, required := range []bool{true, false} {
		for i := range t.Fields {
			f := &t.Fields[i]
			again := f.Type.Kind == pipeline.List && m.c.Top().Kind == syntax.Body && f.Type.Elem.Kind == pipeline.Object // as one more block
			if f.Required == required && (again || !slices.Contains(written, f.Name)) {
				m.add(Candidate{Label: f.Name, Kind: Attribute, Type: f.Type.String(), Doc: f.Doc, Required: f.Required})
			}
		}
	}
}

func (m *menu) stageTypes() {
	for _, name := range word.Keys(m.c.x.types) {
		m.add(Candidate{Label: name, Insert: m.quote(name), Kind: StageType, Doc: m.c.x.types[name].Doc})
	}
}

// quote returns a text in quotes, unless these are there.
func (m *menu) quote(s string) string {
	if m.c.Quoted {
		return s
	}
	return strconv.Quote(s)
}

// choices adds the values of a field that has a list of them.
func (m *menu) choices(f *pipeline.Field, quote string) {
	for _, choice := range f.OneOf {
		m.add(Candidate{Label: choice, Insert: quote + choice + quote, Kind: Choice, Doc: f.Doc})
	}
}

// operands adds what an expression may begin with.
func (m *menu) operands() {
	f, typ := m.c.field()
	if f != nil {
		m.choices(f, `"`)
	}
	if c := m.c; len(c.Frames) == 4 && c.Frames[2].Type == pipeline.Declaration && c.Top().Item == "type" {
		for _, name := range grammar.DeclaredTypes {
			m.add(Candidate{Label: name, Kind: Choice})
		}
		return
	}
	if typ != nil && typ.Kind == pipeline.Bool {
		m.add(Candidate{Label: "true", Kind: Choice})
		m.add(Candidate{Label: "false", Kind: Choice})
	}
	for _, l := range m.c.Loops {
		for _, name := range []string{l.Key, l.Value} {
			if name != "" {
				m.add(Candidate{Label: name, Kind: Name, Type: m.typeOf(*m.c.loop(name))})
			}
		}
	}
	for _, r := range grammar.Roots {
		if r.Name != "each" || m.c.hasEach() {
			m.add(Candidate{Label: r.Name, Kind: Root, Doc: r.Doc})
		}
	}
	functions := builtin.Docs()
	slices.SortFunc(functions, func(a, b builtin.Doc) int { return strings.Compare(a.Name, b.Name) })
	for _, fn := range functions {
		m.add(Candidate{Label: fn.Name, Insert: fn.Name + "(", Kind: Function, Type: fn.Usage, Doc: fn.Doc})
	}
}

// hasEach reports whether the cursor is in a block with for_each, elsewhere than there.
func (c *cursor) hasEach() bool {
	block := c.block()
	return block != nil && c.place != (Place{}) && block.Item != "for_each" &&
		slices.ContainsFunc(block.Names, func(n syntax.Name) bool { return n.Text == "for_each" })
}

// steps adds what may follow behind a dot.
func (m *menu) steps() {
	c := m.c
	if c.Chain == "" || c.loop(c.Chain) == nil && m.root(c.Chain) {
		return
	}
	s := c.chain()
	if s.all {
		m.begin = c.Behind // a key in brackets takes the place of the dot as well
		m.instances(s.decl, "[", "]")
		return
	}
	for _, name := range s.names() {
		of := s.attribute(name)
		n := Candidate{Label: name, Kind: Field, Type: m.typeOf(of)}
		if of.field != nil {
			n.Doc = of.field.Doc
		}
		m.add(n)
	}
}

// root adds what may follow behind what references begin with, and reports whether name
// is that.
func (m *menu) root(name string) bool {
	switch name {
	case "var":
		m.symbols(Variable)
	case "local":
		m.symbols(Local)
	case "stage":
		m.symbols(Stage)
	case "module":
		m.symbols(Module)
	case "path":
		m.add(Candidate{Label: "recipe", Kind: Field, Type: "string", Doc: "The directory of the recipe."})
		m.add(Candidate{Label: "file", Kind: Field, Type: "string", Doc: "The recipe's file, or its directory where it has several."})
	case "each":
		m.each()
	default:
		return false
	}
	return true
}

// symbols adds the names of a kind that the recipe declares.
func (m *menu) symbols(k Kind) {
	var names []string
	for t := range m.c.x.targets {
		if t.kind == k {
			names = append(names, t.name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		s := m.c.x.detailed(m.c.x.targets[target{kind: k, name: name}])
		m.add(Candidate{Label: name, Kind: k, Type: s.Detail, Doc: s.Doc})
	}
}

func (m *menu) each() {
	if !m.c.hasEach() {
		return
	}
	m.add(Candidate{Label: "key", Kind: Field, Type: "string", Doc: "The key of the element that the step is for."})
	of := shape{}
	if e := m.c.parse("each.value"); e != nil {
		of = m.c.shape(e)
	}
	m.add(Candidate{Label: "value", Kind: Field, Type: m.typeOf(of), Doc: "The element of for_each that the step is for."})
}

// chain returns the shape of what is before the dot or bracket at the cursor.
func (c *cursor) chain() shape {
	if s := c.loop(c.Chain); s != nil {
		return *s
	}
	if e := c.parse(c.Chain); e != nil {
		return c.shape(e)
	}
	return shape{}
}

// keys adds what may stand between the brackets behind a value.
func (m *menu) keys() {
	s := m.c.chain()
	if s.all {
		m.instances(s.decl, "", "")
	} else {
		for _, key := range keysOf(s.val) {
			m.add(Candidate{Label: key, Insert: m.quote(key), Kind: Key})
		}
	}
	if !m.c.Quoted {
		m.operands()
	}
}

// instances adds the keys of a stage's instances, within brackets.
func (m *menu) instances(d *declaration, open, end string) {
	for _, key := range m.c.x.eval.Instances(Place{d.Kind, d.Name}) {
		m.add(Candidate{Label: key, Insert: open + m.quote(key) + end, Kind: Key, Type: d.Detail})
	}
}

func (m *menu) typeOf(s shape) string {
	switch {
	case s.typ != nil:
		return s.typ.String()
	case s.val != cty.NilVal && s.val.Type() != cty.DynamicPseudoType:
		return typeOf(s.val)
	}
	return ""
}
