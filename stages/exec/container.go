package exec

import (
	"errors"

	"eyrie/pipeline"
	"eyrie/pipeline/process"
)

func checkImage(string) error { return nil }

func findEngine() (string, error) { return "", errors.New("not yet") }

func (c Config) contained(*pipeline.Task, *workspace) (*process.Program, error) {
	return nil, errors.New("not yet")
}
