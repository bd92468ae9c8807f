package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dominikbraun/graph"
	"github.com/dominikbraun/graph/draw"
	"github.com/spf13/cobra"

	"eyrie/pipeline"
)

func (a *app) graphCommand() *cobra.Command {
	var format string
	var full bool
	cmd := &cobra.Command{
		Use:   "graph RECIPE",
		Short: "Print the graph of the steps",
		Long: `Print the graph of the steps, in the language of Graphviz (dot) or Mermaid. An
arrow leads from a step to one that needs it; arrows that follow from others are
left out, unless --full. Draw it with: runner graph paper.hcl | dot -Tsvg >graph.svg`,
		Args:              exactly("RECIPE"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(_ *cobra.Command, args []string) error {
			write, ok := map[string]func(io.Writer, []*pipeline.Step, pipeline.Graph) error{"dot": writeDOT, "mermaid": writeMermaid}[format]
			if !ok {
				return invalidf("--format %q: want dot or mermaid", format)
			}
			recipe, err := a.load(args[0])
			if err != nil {
				return err
			}
			steps, g, err := graphOf(recipe, full)
			if err != nil {
				return err
			}
			if a.json {
				return a.print("graph", graphDocument(recipe.Name, steps, g))
			}
			return write(a.out, steps, g)
		},
	}
	cmd.Flags().StringVar(&format, "format", "dot", "dot or mermaid")
	cmd.Flags().BoolVar(&full, "full", false, "show arrows that follow from others, too")
	return cmd
}

// graphOf returns the recipe's steps in order, and their graph.
func graphOf(recipe *pipeline.Recipe, full bool) ([]*pipeline.Step, pipeline.Graph, error) {
	steps, err := pipeline.Order(recipe.Steps)
	if err != nil {
		return nil, nil, err
	}
	build := pipeline.Reduce
	if full {
		build = pipeline.NewGraph
	}
	g, err := build(steps)
	return steps, g, err
}

// arrow is an edge, by the steps' places in their order.
type arrow struct{ from, to int }

// arrows returns the edges of the graph, in a stable order.
func arrows(steps []*pipeline.Step, g pipeline.Graph) ([]arrow, error) {
	index := make(map[string]int, len(steps))
	for i, s := range steps {
		index[s.ID] = i
	}
	edges, err := g.Edges()
	if err != nil {
		return nil, err
	}
	all := make([]arrow, len(edges))
	for i, e := range edges {
		all[i] = arrow{index[e.Source], index[e.Target]}
	}
	slices.SortFunc(all, func(a, b arrow) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return a.to - b.to
	})
	return all, nil
}

// writeDOT writes the graph in Graphviz's language. The library writes names as
// they are and in a random order: so they are quoted here, and its lines sorted.
func writeDOT(w io.Writer, steps []*pipeline.Step, g pipeline.Graph) error {
	all, err := arrows(steps, g)
	if err != nil {
		return err
	}
	drawn := graph.New(func(v string) string { return v }, graph.Directed())
	for _, s := range steps {
		id := dotQuote.Replace(s.ID)
		label := graph.VertexAttribute("label", id+`\n`+dotQuote.Replace(s.Stage.Name))
		if err := drawn.AddVertex(id, label); err != nil {
			return err
		}
	}
	for _, e := range all {
		err := drawn.AddEdge(dotQuote.Replace(steps[e.from].ID), dotQuote.Replace(steps[e.to].ID), graph.EdgeWeight(1))
		if err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := draw.DOT(drawn, &b, draw.GraphAttribute("rankdir", "LR")); err != nil {
		return err
	}
	return writeSorted(w, b.String())
}

// dotQuote escapes text within a DOT string that the library's template quotes.
var dotQuote = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// writeSorted writes the first line of text, those within sorted, and the last.
func writeSorted(w io.Writer, text string) error {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	inner := slices.DeleteFunc(lines[1:len(lines)-1], func(s string) bool { return strings.TrimSpace(s) == "" })
	slices.SortStableFunc(inner, func(a, b string) int { return strings.Compare(dotRank(a), dotRank(b)) })
	_, err := fmt.Fprintf(w, "%s\n%s\n}\n", lines[0], strings.Join(inner, "\n"))
	return err
}

// dotRank is what a line is sorted by: attributes, then vertices, then edges.
func dotRank(line string) string {
	switch {
	case strings.Contains(line, "\" -> \""):
		return "2" + line
	case strings.HasPrefix(line, "\t\""):
		return "1" + line
	}
	return "0" + line
}

// writeMermaid writes the graph in Mermaid's language.
func writeMermaid(w io.Writer, steps []*pipeline.Step, g pipeline.Graph) error {
	all, err := arrows(steps, g)
	if err != nil {
		return err
	}
	quote := strings.NewReplacer(`&`, "#amp;", `"`, "#quot;", `<`, "#lt;", `>`, "#gt;", "\n", " ")
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, s := range steps {
		fmt.Fprintf(&b, "    s%d[\"%s<br>%s\"]\n", i+1, quote.Replace(s.ID), quote.Replace(s.Stage.Name))
	}
	for _, e := range all {
		fmt.Fprintf(&b, "    s%d --> s%d\n", e.from+1, e.to+1)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// graphJSON is the graph for programs.
type graphJSON struct {
	Recipe string      `json:"recipe"`
	Steps  []graphStep `json:"steps"`
}

type graphStep struct {
	Step  string   `json:"step"`
	Stage string   `json:"stage"`
	Pos   string   `json:"pos"`
	Needs []string `json:"needs"`
}

func graphDocument(name string, steps []*pipeline.Step, g pipeline.Graph) graphJSON {
	doc := graphJSON{Recipe: name, Steps: make([]graphStep, len(steps))}
	for i, s := range steps {
		doc.Steps[i] = graphStep{Step: s.ID, Stage: s.Stage.Name, Pos: s.Pos, Needs: []string{}}
		for _, d := range s.Deps {
			if _, err := g.Edge(d, s.ID); err == nil {
				doc.Steps[i].Needs = append(doc.Steps[i].Needs, d)
			}
		}
	}
	return doc
}
