package cli

import (
	"bytes"
	"html/template"
)

// page returns the comparison as a page that needs nothing else.
func (c *comparison) page() ([]byte, error) {
	heads, label := c.labels()
	type pageCell struct {
		Text         string
		Best, Number bool
	}
	type pageRow struct {
		Labels []string
		Cells  []pageCell
	}
	data := struct {
		Recipe  string
		Labels  []string
		Columns []*column
		Heads   []string
		Rows    []pageRow
	}{Recipe: c.Recipe, Labels: heads, Columns: c.Columns}
	for _, col := range c.Columns {
		data.Heads = append(data.Heads, col.heading())
	}
	for _, r := range c.Rows {
		row := pageRow{Labels: label(r)}
		for _, col := range c.Columns {
			cell := r.Cells[col.key()]
			shown := pageCell{Text: col.shortText(cell)}
			if cell != nil {
				shown.Best = cell.Best
				_, shown.Number = cell.Value.(float64)
			}
			row.Cells = append(row.Cells, shown)
		}
		data.Rows = append(data.Rows, row)
	}
	var b bytes.Buffer
	err := comparisonPage.Execute(&b, data)
	return b.Bytes(), err
}

var comparisonPage = template.Must(template.New("comparison").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{.Recipe}}: comparison</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; }
caption { text-align: left; font-size: 1.3em; margin-bottom: .5em; }
th, td { padding: .3em .8em; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
thead th { position: sticky; top: 0; background: #f4f4f4; vertical-align: bottom; }
th.metric { border-top: 3px solid #4a7; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.best { font-weight: bold; background: #eaf7ee; }
</style>
</head>
<body>
<table>
<caption>{{.Recipe}}</caption>
<thead><tr>{{range .Labels}}<th>{{.}}</th>{{end}}{{range $i, $c := .Columns}}<th{{if $c.Metric}} class="metric"{{end}}>{{index $.Heads $i}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr>{{range .Labels}}<th>{{.}}</th>{{end}}{{range .Cells}}<td class="{{if .Number}}number{{end}}{{if .Best}} best{{end}}">{{.Text}}</td>{{end}}</tr>
{{end}}</tbody>
</table>
</body>
</html>
`))
