package table

import (
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
		b.WriteString("**" + escapeMarkdown(g.title) + "**\n\n")
	}
	if g.caption != "" {
		b.WriteString(escapeMarkdown(g.caption) + "\n\n")
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
		b.WriteString("\n" + escapeMarkdown(note) + "\n")
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

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "|", `\|`, "*", `\*`, "`", "\\`", "<", `\<`,
	"\r\n", " ", "\n", " ", "\r", " ", "\t", " ",
)

// escapeMarkdown escapes what Markdown would read as markup. An underscore
// within a word, as in W_d, begins no emphasis and stays as it is.
func escapeMarkdown(s string) string {
	var b strings.Builder
	runes := []rune(markdownEscapes.Replace(s))
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	for i, r := range runes {
		if r == '_' && (!word(i-1) || !word(i+1)) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

var raised = strings.NewReplacer("a", "ᵃ", "b", "ᵇ", "c", "ᶜ", "d", "ᵈ", "e", "ᵉ")

func superscript(mark string) string { return raised.Replace(mark) }
