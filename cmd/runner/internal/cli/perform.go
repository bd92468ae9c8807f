package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/isolate"
)

// performCommand is what run --isolate starts for each step, and what a job of an executor is
// on its node.
func (a *app) performCommand() *cobra.Command {
	var job string
	element := -1
	cmd := &cobra.Command{
		Use:    "perform",
		Short:  "Perform the job on standard input, or that of a file",
		Hidden: true,
		Args:   exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if element >= 0 {
				return a.performAway(cmd.Context(), element)
			}
			if a.store == "" {
				return invalidf("runner perform: --store is missing")
			}
			s, err := store.Open(a.store)
			if err != nil {
				return err
			}
			defer s.Close()
			if job == "" {
				return isolate.Serve(cmd.Context(), s, a.stages)
			}
			code, err := cluster.Serve(cmd.Context(), s, a.stages, job, requeue())
			if err == nil && code != 0 {
				err = reported(code)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&job, "job", "", "the job's `file`, without .job")
	cmd.Flags().IntVar(&element, "element", element, "the `number` of the job, in the batch that EYRIE_ORDER tells of")
	return cmd
}

// performer returns what makes the commands of a run's steps. They run the image
// that this process runs, also when the file that it came from has been replaced.
func performer(store string) func() *exec.Cmd {
	if abs, err := filepath.Abs(store); err == nil {
		store = abs
	}
	self, err := os.Executable()
	if runtime.GOOS == "linux" {
		self = "/proc/self/exe"
	} else if err != nil {
		self = os.Args[0]
	}
	return func() *exec.Cmd {
		cmd := exec.Command(self, "perform", "--store", store)
		cmd.Args[0] = os.Args[0]
		return cmd
	}
}
