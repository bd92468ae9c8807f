package table

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// width measures text as a terminal shows it, whatever the locale.
var width = &runewidth.Condition{}

// markdown writes a GitHub table whose columns line up in a terminal.
func (g *grid) markdown() string {
	lines := make([][]string, 0, len(g.rows)+1)
	var heads []string
	for _, h := range g.heads {
		title := h.title
		if h.group != "" {
			title = h.group + ": " + title
		}
		heads = append(heads, escapeMarkdown(title)+superscript(h.mark))
	}
	lines = append(lines, heads)
	for _, row := range g.rows {
		var line []string
		for _, c := range row {
			text := escapeMarkdown(c.text)
			if c.best {
				text = "**" + text + "**"
			}
			line = append(line, text+c.interval+superscript(c.mark))
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(g.heads))
	for _, line := range lines {
		for i, text := range line {
			widths[i] = max(widths[i], width.StringWidth(text), 3)
		}
	}
	var b strings.Builder
	if g.title != "" {
		b.WriteString("**" + strings.TrimSpace(escapeMarkdown(g.title)) + "**\n\n")
	}
	if g.caption != "" {
		b.WriteString(paragraph(g.caption) + "\n\n")
	}
	for i, line := range lines {
		g.markdownLine(&b, line, widths)
		if i == 0 {
			g.markdownRule(&b, widths)
		}
	}
	if len(g.legend) > 0 {
		b.WriteString("\n" + g.legendText(superscript, escapeMarkdown) + "\n")
	}
	for _, note := range g.notes {
		b.WriteString("\n" + paragraph(note) + "\n")
	}
	return b.String()
}

func (g *grid) markdownLine(b *strings.Builder, line []string, widths []int) {
	for i, text := range line {
		pad := strings.Repeat(" ", widths[i]-width.StringWidth(text))
		if g.heads[i].right {
			b.WriteString("| " + pad + text + " ")
		} else {
			b.WriteString("| " + text + pad + " ")
		}
	}
	b.WriteString("|\n")
}

func (g *grid) markdownRule(b *strings.Builder, widths []int) {
	for i, w := range widths {
		dashes := strings.Repeat("-", w+1)
		if g.heads[i].right {
			b.WriteString("|" + dashes + ":")
		} else {
			b.WriteString("|:" + dashes)
		}
	}
	b.WriteString("|\n")
}

var lineEnds = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ")

// escapeMarkdown escapes what Markdown, with GitHub's additions, would read as markup
// within a line. An underscore within a word, as in W_d, begins no emphasis and stays as
// it is, as do brackets that are no link and an ampersand that is no entity.
func escapeMarkdown(s string) string {
	var b strings.Builder
	runes := []rune(lineEnds.Replace(s))
	for i, r := range runes {
		if isMarkup(runes, i) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isMarkup reports whether the character at i would be read as markup.
func isMarkup(runes []rune, i int) bool {
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	switch next := at(i + 1); at(i) {
	case '\\', '|', '*', '`', '<', '~', '$':
		return true
	case '_':
		return !word(at(i-1)) || !word(next)
	case '&':
		return next == '#' || word(next)
	case ']': // [text](link), [text][name], [name]: link
		return next == '(' || next == '[' || next == ':'
	}
	return false
}

// listItem is what begins an item of a numbered list, up to the mark behind the number.
var listItem = regexp.MustCompile(`^\d{1,9}[.)]( |$)`)

// paragraph escapes a text that stands by itself, whose beginning could make it a
// heading, a quotation, an item of a list, a rule or a block of code.
func paragraph(s string) string {
	s = strings.TrimSpace(escapeMarkdown(s))
	if number := listItem.FindString(s); number != "" {
		end := len(strings.TrimSuffix(number, " ")) - 1
		return s[:end] + `\` + s[end:]
	}
	if s != "" && strings.ContainsRune("#>-+=", rune(s[0])) {
		return `\` + s
	}
	return s
}

var raised = strings.NewReplacer("a", "ᵃ", "b", "ᵇ", "c", "ᶜ", "d", "ᵈ", "e", "ᵉ")

func superscript(mark string) string { return raised.Replace(mark) }
