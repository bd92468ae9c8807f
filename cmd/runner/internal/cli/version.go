package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"eyrie/pipeline"
)

// version is what a build is told of.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source; "+" when it was modified
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Events   int    `json:"events"` // version of the event stream
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(),
		RunE:  func(*cobra.Command, []string) error { return a.printVersion() },
	}
}

func (a *app) printVersion() error {
	v := buildVersion()
	if a.json {
		return a.print("version", v)
	}
	if v.Revision != "" {
		v.Version += " (" + v.Revision + ")"
	}
	say(a.out, "runner %s, %s, %s, events version %d", v.Version, v.Go, v.Platform, v.Events)
	return nil
}

func buildVersion() version {
	v := version{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Events: pipeline.EventVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	modified := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				modified = "+"
			}
		}
	}
	v.Revision += modified
	return v
}
