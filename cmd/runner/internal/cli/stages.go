package cli

import (
	"strings"

	"github.com/mitchellh/go-wordwrap"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

func (a *app) stagesCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "stages [NAME]",
		Short: "Document the stages: what each takes and gives",
		Long: `Document the stages: a sentence on each, or all about the one with this NAME. Objects
that are alike are described once, and those deep within others only with --full.`,
		Args: exactly("[NAME]"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.stageNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listStages()
			}
			for _, s := range a.stages {
				if s.Name == args[0] {
					return a.showStage(s, full)
				}
			}
			return invalidf("there is no stage %q%s", args[0], didYouMean(args[0], a.stageNames()))
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "describe every field of every object")
	return cmd
}

func (a *app) stageNames() []string {
	var names []string
	for _, s := range a.stages {
		names = append(names, s.Name)
	}
	return names
}

// listStages prints the first sentence on each stage.
func (a *app) listStages() error {
	if a.json {
		for _, s := range a.stages {
			if err := a.print("stage", stageDocument(s)); err != nil {
				return err
			}
		}
		return nil
	}
	width := view.Width(40, a.stageNames()...)
	for _, s := range a.stages {
		say(a.out, "%s  %s", a.style(a.out).Bold(view.Pad(s.Name, width)), a.hang(firstSentence(s.Doc), width+2))
	}
	return nil
}

func firstSentence(doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		return doc[:i+1]
	}
	return doc
}

// showStage prints what there is to know of a stage.
func (a *app) showStage(s *pipeline.Stage, full bool) error {
	if a.json {
		return a.print("stage", stageDocument(s))
	}
	y := a.style(a.out)
	say(a.out, "%s (version %d)\n\n%s\n\n%s", y.Bold(s.Name), s.Version, wrap(s.Doc, "  ", a.columns()), y.Bold("Attributes"))
	fields := &fieldWriter{w: a.out, width: a.columns(), style: y, full: full, config: true, described: map[string]string{}}
	fields.write(s.Config.Fields, "")
	say(a.out, "\n  Every stage also takes for_each, when, depends_on, retry, timeout and resources.")
	say(a.out, "\n%s", y.Bold("Outputs"))
	fields.config = false
	fields.write(s.Output.Fields, "")
	if fields.short {
		say(a.out, "\n  Objects in braces are described by: runner stages %s --full", s.Name)
	}
	return nil
}

// columns is how wide text is set, in columns: readable, and within the terminal.
func (a *app) columns() int {
	const readable, least = 88, 40
	if f, ok := a.out.(*stdout); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return min(max(width, least), readable)
		}
	}
	return readable
}

// hang breaks text into lines that are indented where they go on.
func (a *app) hang(text string, indent int) string {
	return strings.TrimLeft(wrap(text, strings.Repeat(" ", indent), max(a.columns(), indent+30)), " ")
}

// wrap breaks text into lines of a width, each with a prefix. As in Go's own
// comments, an indented paragraph, such as an example, stays as it is.
func wrap(text, prefix string, width int) string {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, p := range paragraphs {
		lines := strings.TrimRight(p, " \n")
		if !strings.HasPrefix(p, " ") && !strings.HasPrefix(p, "\t") {
			lines = wordwrap.WrapString(strings.Join(strings.Fields(p), " "), uint(width-len(prefix)))
		}
		paragraphs[i] = prefix + strings.ReplaceAll(lines, "\n", "\n"+prefix)
	}
	return strings.Join(paragraphs, "\n\n")
}
