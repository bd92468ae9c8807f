package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mitchellh/go-wordwrap"
	"github.com/spf13/cobra"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

func (a *app) stagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stages [NAME]",
		Short: "Document the stages: what each takes and gives",
		Args:  exactly("[NAME]"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.stageNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listStages()
			}
			for _, s := range a.stages {
				if s.Name == args[0] {
					return a.showStage(s)
				}
			}
			return invalidf("there is no stage %q%s", args[0], didYouMean(args[0], a.stageNames()))
		},
	}
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
			if err := a.print(stageDocument(s)); err != nil {
				return err
			}
		}
		return nil
	}
	width := view.Width(40, a.stageNames()...)
	for _, s := range a.stages {
		say(a.out, "%s  %s", a.style(a.out).Bold(view.Pad(s.Name, width)), firstSentence(s.Doc))
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

// showStage prints all there is to know of a stage.
func (a *app) showStage(s *pipeline.Stage) error {
	if a.json {
		return a.print(stageDocument(s))
	}
	y := a.style(a.out)
	say(a.out, "%s (version %d)\n\n%s\n\n%s", y.Bold(s.Name), s.Version, wrap(s.Doc, "  "), y.Bold("Attributes"))
	writeFields(a.out, y, s.Config.Fields, "", true)
	say(a.out, "\n  Every stage also takes for_each, when, depends_on, retry, timeout and resources.")
	say(a.out, "\n%s", y.Bold("Outputs"))
	writeFields(a.out, y, s.Output.Fields, "", false)
	return nil
}

// wrap breaks text into lines of a readable width, each with a prefix. As in
// Go's own comments, an indented paragraph, such as an example, stays as it is.
func wrap(text, prefix string) string {
	const width = 88 // columns
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

// writeFields writes what each field is, and below what is in it, under dotted
// names: "limit.latency", "front[].accuracy".
func writeFields(w io.Writer, y view.Style, fields []pipeline.Field, prefix string, config bool) {
	for i := range fields {
		f := &fields[i]
		say(w, "  %s  %s", y.Bold(prefix+f.Name), fieldText(f, config))
		if f.Doc != "" {
			say(w, "%s", wrap(f.Doc, "      "))
		}
		name, t := prefix+f.Name, f.Type
		for t.Kind == pipeline.List || t.Kind == pipeline.Map {
			name, t = name+"[]", t.Elem
		}
		if t.Kind == pipeline.Object {
			writeFields(w, y, t.Fields, name+".", config)
		}
	}
}

// fieldText words what a field can hold: "number (s), from 0 to 1, default 0.5".
func fieldText(f *pipeline.Field, config bool) string {
	text := typeText(f.Type)
	if f.Unit != "" {
		text += " in " + f.Unit
	}
	if len(f.OneOf) > 0 {
		quoted := make([]string, len(f.OneOf))
		for i, s := range f.OneOf {
			quoted[i] = strconv.Quote(s)
		}
		text += ": " + strings.Join(quoted, ", ")
	}
	switch {
	case f.Min != nil && f.Max != nil:
		text += fmt.Sprintf(", from %g to %g", *f.Min, *f.Max)
	case f.Min != nil:
		text += fmt.Sprintf(", at least %g", *f.Min)
	case f.Max != nil:
		text += fmt.Sprintf(", at most %g", *f.Max)
	}
	if f.Kind != "" {
		text += ", " + string(f.Kind)
	}
	if !config {
		return text
	}
	switch {
	case f.Required:
		text += ", required"
	case f.Default != nil:
		text += ", default " + defaultText(f.Default)
	default:
		text += ", optional"
	}
	if !f.Key {
		text += "; does not change the result"
	}
	return text
}

// typeText names a type; an object's fields are listed below it.
func typeText(t *pipeline.Type) string {
	text := t.String()
	if i := strings.Index(text, " {"); i >= 0 {
		text = text[:i]
	}
	if t.Nullable {
		text += " or null"
	}
	return text
}

func defaultText(v any) string {
	const width = 60 // columns
	tree, err := jsonTree(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return brief(tree, width)
}
