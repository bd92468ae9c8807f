package torch

import (
	"embed"
	"os"
	"path/filepath"
)

// worker is the program that each rank runs, given a job file: a directory that Python starts
// by its __main__.py. It looks there before all else for the modules beside that one.
//
//go:embed worker/*.py
var worker embed.FS

// writeWorker writes the program below dir and returns its path.
func writeWorker(dir string) (string, error) {
	const name = "worker"
	program := filepath.Join(dir, name)
	if err := os.MkdirAll(program, 0o700); err != nil {
		return "", err
	}
	modules, err := worker.ReadDir(name)
	if err != nil {
		return "", err
	}
	for _, m := range modules {
		b, err := worker.ReadFile(name + "/" + m.Name())
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(program, m.Name()), b, 0o600); err != nil {
			return "", err
		}
	}
	return program, nil
}
