package cli

import (
	"github.com/spf13/cobra"

	"eyrie/cmd/runner/internal/view"
	"eyrie/hcl"
)

func (a *app) functionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "functions",
		Short: "Document the functions that a recipe's expressions may call",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			docs := hcl.Functions()
			if a.json {
				for _, f := range docs {
					if err := a.print("function", f); err != nil {
						return err
					}
				}
				return nil
			}
			y, group := a.style(a.out), ""
			usages := make([]string, len(docs))
			for i, f := range docs {
				usages[i] = f.Usage
			}
			width := view.Width(40, usages...)
			for i, f := range docs {
				if f.Group != group {
					if i > 0 {
						say(a.out, "")
					}
					group = f.Group
					say(a.out, "%s", y.Bold(group))
				}
				say(a.out, "  %s  %s", view.Pad(f.Usage, width), a.hang(f.Doc, width+4))
			}
			return nil
		},
	}
}
