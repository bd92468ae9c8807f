// Package cli is the command runner: its flags, what it prints, and its exit
// codes.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"eyrie/artifacts/team"
	"eyrie/cmd/runner/internal/view"
	"eyrie/hcl/site"
	"eyrie/pipeline"
)

// app is what the commands share: the stages, the global flags and the streams.
type app struct {
	stages []*pipeline.Stage
	in     io.Reader
	out    io.Writer
	err    io.Writer

	store    string
	site     string
	vars     []string
	varFiles []string
	jobs     int
	json     bool
	logLevel string
	noColor  bool
	verbose  bool

	reads *reads      // of the recipe that was loaded
	there *site.Site  // that the store was opened for; nil for none
	cache *team.Cache // behind the store that was opened; nil for none
}

// Main runs the command line over the stages and returns the exit code.
func Main(stages []*pipeline.Stage) int {
	out := &stdout{File: os.Stdout}
	a := &app{stages: stages, in: os.Stdin, out: out, err: os.Stderr}
	root := a.root()
	a.json = slices.Contains(os.Args, "--json") // so that a mistake in the flags is told as JSON, too
	err := root.Execute()
	if err == nil {
		err = out.failure()
	}
	if err != nil {
		a.complain(err)
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "runner",
		Short: "Run a recipe: every result cached by its content, interrupted work resumed",
		Long: `runner runs recipes: steps written in HCL, each the use of a stage. It runs what
has no result yet, tells why, and keeps every result in a store beside the recipe.`,
		Example: `  runner plan paper.hcl              what would run, and why
  runner run paper.hcl               run it
  runner run paper.hcl --var epochs=3
  runner stages train-supernet       what a stage takes and gives`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	version := root.Flags().Bool("version", false, "print the version")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *version {
			return a.printVersion()
		}
		if len(args) == 0 {
			return cmd.Help()
		}
		return invalidf("there is no command %q%s; see runner --help", args[0], didYouMean(args[0], names(cmd)))
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var bad *pflag.InvalidValueError // which quotes strconv
		if errors.As(err, &bad) {
			return invalidf("--%s %q: want %s", bad.GetFlag().Name, bad.GetValue(), bad.GetFlag().Value.Type())
		}
		return invalidf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages ", fmt.Sprintf("Flags.FlagUsagesWrapped %d ", a.columns())))
	root.SetHelpCommand(helpCommand(root))
	f := root.PersistentFlags()
	f.StringVar(&a.store, "store", "", "where results are kept (default: .eyrie beside the recipe)")
	f.StringVar(&a.site, "site", "", "the `file` that says what there is at this site, or none (default: site.hcl beside the recipe, else ~/.config/eyrie/site.hcl)")
	f.StringArrayVar(&a.vars, "var", nil, "a variable's value, as `name=value`; may be repeated")
	f.StringArrayVar(&a.varFiles, "var-file", nil, "a `file` of variables' values; may be repeated")
	f.IntVarP(&a.jobs, "jobs", "j", 0, "how many steps run at once (default: what the site file says, else one per CPU)")
	f.BoolVar(&a.json, "json", false, "print JSON, an object a line; see runner help json")
	f.StringVar(&a.logLevel, "log-level", "info", "what to show of the stages' logs: trace, debug, info, warn or error")
	f.BoolVar(&a.noColor, "no-color", false, "no colours (also: the environment variable NO_COLOR)")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "show cached steps one by one")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) }
	groups := []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Recipes:", []*cobra.Command{a.runCommand(), a.planCommand(), a.validateCommand(), a.fmtCommand(), a.graphCommand(), a.outputCommand()}},
		{"What happened, and why:", []*cobra.Command{a.showCommand(), a.explainCommand(), a.runsCommand(), a.logCommand(), a.diffCommand(), a.compareCommand(), a.lineageCommand(), a.exportCommand()}},
		{"The store:", []*cobra.Command{a.duCommand(), a.gcCommand(), a.verifyCommand(), a.adoptCommand(), a.pinCommand(), a.unpinCommand()}},
		{"The site, and what a team shares:", []*cobra.Command{a.siteCommand(), a.pushCommand(), a.pullCommand()}},
		{"Reference:", []*cobra.Command{a.stagesCommand(), a.functionsCommand(), a.versionCommand()}},
	}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.title
			root.AddCommand(c)
		}
	}
	root.SetHelpCommandGroupID(groups[len(groups)-1].title)
	root.SetCompletionCommandGroupID(groups[len(groups)-1].title)
	root.AddCommand(a.performCommand(),
		&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodes},
		&cobra.Command{Use: "json", Short: "What --json prints", Long: jsonLines})
	a.completeFlags(root)
	return root
}

// logLevels are the choices of --log-level.
var logLevels = []string{"trace", "debug", "info", "warn", "error"}

// helpCommand is cobra's, except that a name that is none is a mistake.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Tell about a command, or about exit-codes or json",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return invalidf("there is no command %q%s; see runner --help", strings.Join(args, " "), didYouMean(args[0], names(root)))
			}
			return cmd.Help()
		},
	}
}

// checkFlags finds mistakes in the global flags.
func (a *app) checkFlags(cmd *cobra.Command) error {
	if a.store == "" && cmd.Flags().Changed("store") { // as of a shell's variable that is not set
		return invalidf("--store is empty: want a directory")
	}
	if !slices.Contains(logLevels, a.logLevel) {
		return invalidf("--log-level %q: want trace, debug, info, warn or error", a.logLevel)
	}
	if a.jobs < 0 {
		return invalidf("-j %d: want a positive number of steps", a.jobs)
	}
	return nil
}

// names returns the names of the sub-commands.
func names(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// exactly checks a command's arguments, which are named as in its usage:
// "RECIPE", "[NAME]".
func exactly(params ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for i, p := range params {
			if i >= len(args) && !strings.HasPrefix(p, "[") {
				return invalidf("%s: %s is missing: %s", cmd.CommandPath(), p, cmd.UseLine())
			}
		}
		if extra := len(args) - len(params); extra > 0 {
			what := fmt.Sprintf("%q is too much", args[len(params)])
			if slices.Equal(params, []string{"RECIPE"}) {
				what = fmt.Sprintf("one recipe at a time, not %d (a directory of *.hcl files is one recipe)", len(args))
			}
			return invalidf("%s: %s: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}

// style returns the style of what is written to w.
func (a *app) style(w io.Writer) view.Style {
	return view.Style{Colour: terminalOf(w) != nil && !a.noColor && os.Getenv("NO_COLOR") == ""}
}
