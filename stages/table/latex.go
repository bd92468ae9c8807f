package table

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// latex writes a table environment in the style of booktabs.
func (g *grid) latex(label string) string {
	var b strings.Builder
	b.WriteString("% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n")
	if caption := strings.TrimSpace(g.title + ". " + g.caption); g.title != "" || g.caption != "" {
		b.WriteString("\\caption{" + escapeLaTeX(strings.TrimPrefix(caption, ". ")) + "}\n")
	}
	if label != "" {
		b.WriteString("\\label{" + label + "}\n")
	}
	b.WriteString("\\begin{tabular}{")
	long := g.long()
	for i, h := range g.heads {
		switch {
		case h.right:
			b.WriteByte('r')
		case long[i]:
			fmt.Fprintf(&b, "p{%.2f\\linewidth}", min(0.4, 0.9/float64(len(g.heads))))
		default:
			b.WriteByte('l')
		}
	}
	b.WriteString("}\n\\toprule\n")
	g.latexGroups(&b)
	var heads []string
	for _, h := range g.heads {
		heads = append(heads, escapeLaTeX(h.title)+raiseLaTeX(h.mark))
	}
	b.WriteString(strings.Join(heads, " & ") + " \\\\\n\\midrule\n")
	for _, row := range g.rows {
		var line []string
		for _, c := range row {
			text := escapeLaTeX(c.text)
			if c.best {
				text = "\\textbf{" + text + "}"
			}
			line = append(line, text+escapeLaTeX(c.interval)+raiseLaTeX(c.mark))
		}
		if strings.HasPrefix(line[0], "[") || strings.HasPrefix(line[0], "*") {
			line[0] = "{}" + line[0] // \\ and \midrule would take it as their argument
		}
		b.WriteString(strings.Join(line, " & ") + " \\\\\n")
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n")
	if len(g.legend) > 0 {
		b.WriteString("\n\\smallskip{\\footnotesize " + g.legendText(raiseLaTeX, escapeLaTeX) + "}\n")
	}
	for _, note := range g.notes {
		b.WriteString("\n{\\footnotesize " + escapeLaTeX(note) + "}\n")
	}
	b.WriteString("\\end{table}\n")
	return b.String()
}

// longText is how many characters of text no longer stand in one line.
const longText = 32

// long returns which columns hold sentences, which have to be broken into lines.
func (g *grid) long() []bool {
	long := make([]bool, len(g.heads))
	for _, row := range g.rows {
		for i, c := range row {
			long[i] = long[i] || utf8.RuneCountInString(c.text) > longText
		}
	}
	return long
}

// latexGroups writes the headings over neighbouring columns.
func (g *grid) latexGroups(b *strings.Builder) {
	var heads, rules []string
	at := 1
	for _, s := range g.spans() {
		text := ""
		if s.title != "" {
			text = escapeLaTeX(s.title)
			rules = append(rules, fmt.Sprintf("\\cmidrule(lr){%d-%d}", at, at+s.columns-1))
		}
		heads = append(heads, fmt.Sprintf("\\multicolumn{%d}{c}{%s}", s.columns, text))
		at += s.columns
	}
	if len(rules) > 0 {
		b.WriteString(strings.Join(heads, " & ") + " \\\\\n" + strings.Join(rules, " ") + "\n")
	}
}

// span is a heading over neighbouring columns; without a title, over one.
type span struct {
	title   string
	columns int
}

func (g *grid) spans() []span {
	var spans []span
	for _, h := range g.heads {
		if n := len(spans); n > 0 && h.group != "" && spans[n-1].title == h.group {
			spans[n-1].columns++
		} else {
			spans = append(spans, span{h.group, 1})
		}
	}
	return spans
}

var latexEscapes = strings.NewReplacer(
	`\`, `\textbackslash{}`, "{", `\{`, "}", `\}`, "$", `\$`, "&", `\&`, "#", `\#`,
	"%", `\%`, "_", `\_`, "^", `\textasciicircum{}`, "~", `\textasciitilde{}`,
	"<", `\textless{}`, ">", `\textgreater{}`, "|", `\textbar{}`,
	"\n", " ", "\r", " ", "\t", " ",
	"--", `-{}-{}`, "``", "`{}`{}", "''", "'{}'{}", ",,", ",{},{}", "!`", "!{}`", "?`", "?{}`", // ligatures
	"−", "$-$", "–", "--", "—", "---", "×", `$\times$`, "±", `$\pm$`, "≤", `$\leq$`, "≥", `$\geq$`,
	"≈", `$\approx$`, "μ", `$\mu$`, "µ", `$\mu$`, "τ", `$\tau$`, "σ", `$\sigma$`, "Δ", `$\Delta$`,
	"·", `$\cdot$`, "→", `$\to$`, "…", `\ldots{}`, "∞", `$\infty$`,
)

func escapeLaTeX(s string) string { return latexEscapes.Replace(s) }

func raiseLaTeX(mark string) string {
	if mark == "" {
		return ""
	}
	return "\\textsuperscript{" + mark + "}"
}
