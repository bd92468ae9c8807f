package executortest_test

import (
	"testing"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/executortest"
)

func TestInProcess(t *testing.T) {
	executortest.Run(t, executortest.Subject{New: func(_ *testing.T, s *store.Store, _ string) pipeline.Executor { return pipeline.InProcess(s) }})
}
