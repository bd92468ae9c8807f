package report

import (
	"html"
	"html/template"
	"regexp"
	"strings"
)

var (
	bold = regexp.MustCompile(`\*\*(.+?)\*\*`)
	code = regexp.MustCompile("`([^`]+)`")
)

// markup turns plain text into paragraphs, lists, bold and code.
func markup(text string) template.HTML {
	var b strings.Builder
	for _, block := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		list := false
		var paragraph []string
		flush := func() {
			if len(paragraph) > 0 {
				b.WriteString("<p>" + inline(strings.Join(paragraph, " ")) + "</p>\n")
				paragraph = nil
			}
		}
		for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
			line = strings.TrimSpace(line)
			item, ok := strings.CutPrefix(line, "- ")
			switch {
			case ok && !list:
				flush()
				b.WriteString("<ul>\n")
				list = true
			case !ok && list:
				b.WriteString("</ul>\n")
				list = false
			}
			if ok {
				b.WriteString("<li>" + inline(item) + "</li>\n")
			} else if line != "" {
				paragraph = append(paragraph, line)
			}
		}
		flush()
		if list {
			b.WriteString("</ul>\n")
		}
	}
	return template.HTML(b.String())
}

// inline escapes a line, then sets what is between stars and backquotes.
func inline(s string) string {
	s = html.EscapeString(s)
	s = code.ReplaceAllString(s, "<code>$1</code>")
	return bold.ReplaceAllString(s, "<strong>$1</strong>")
}
