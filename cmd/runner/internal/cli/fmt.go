package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"eyrie/hcl"
	"eyrie/hcl/source"
)

func (a *app) fmtCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt [PATH...]",
		Short: "Write recipes in the one style",
		Long: `Rewrite recipes in the one style, and print the names of the files that changed.
A PATH is a file, a directory (its *.hcl files), or - for the standard input, which
is written to the standard output. Without any, it is the current directory. The files
of the modules that a recipe is made of are rewritten with it.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			return a.format(args, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "only print the names of the files that would change; exit code 1 if there are any")
	return cmd
}

// format formats everything at paths, going on after a mistake.
func (a *app) format(paths []string, check bool) error {
	files, err := recipeFiles(paths)
	if err != nil {
		return err
	}
	code := exitOK
	for _, name := range files {
		changed, err := a.formatFile(name, check)
		if err != nil {
			a.complain(err)
			code = max(code, exitCode(err))
		}
		if changed && check {
			code = max(code, exitNo)
		}
	}
	if code != exitOK {
		return reported(code)
	}
	return nil
}

// recipeFiles returns the files at the paths, "-" for the standard input.
func recipeFiles(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		if path == "-" {
			files = append(files, path)
			continue
		}
		names, err := hcl.Files(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, invalidf("there is no file %s", path)
		} else if err != nil {
			return nil, err
		}
		files = append(files, names...)
	}
	return slices.Compact(files), nil
}

// formatFile formats one file, or only reports whether it would change.
func (a *app) formatFile(name string, check bool) (changed bool, err error) {
	src, err := a.read(name)
	if err != nil {
		return false, err
	}
	label := name
	if name == "-" {
		label = "<stdin>"
	}
	out, diags := hcl.Format(src, label)
	if diags.HasErrors() {
		return false, invalid(diags)
	}
	changed = !bytes.Equal(src, out)
	if name == "-" && !check {
		_, err := a.out.Write(out)
		return changed, err
	}
	if !changed {
		return false, nil
	}
	if !check {
		if err := rewrite(name, out); err != nil {
			return true, err
		}
	}
	return true, a.formatted(label)
}

func (a *app) read(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.in)
	}
	return source.Disk.ReadFile(name)
}

// formatted prints the name of a file that changed.
func (a *app) formatted(name string) error {
	if a.json {
		return a.print("formatted", struct {
			File string `json:"file"`
		}{name})
	}
	_, err := fmt.Fprintln(a.out, name)
	return err
}

// rewrite gives the file new content, at once, behind any symbolic link.
func rewrite(name string, content []byte) error {
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, content, info.Mode().Perm(), renameio.IgnoreUmask())
}
