package relaytest

import (
	"context"
	"errors"
	"testing"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/executortest"
)

// Job returns the job of a step that uses a stage of executortest without attributes.
func Job(t testing.TB, s *store.Store, stage string) (job *pipeline.Job) {
	t.Helper()
	step := &pipeline.Step{ID: "a", Pos: "test.hcl:a", Attrs: func(*pipeline.Outputs) (pipeline.Attrs, error) { return pipeline.Attrs{}, nil }}
	for _, known := range executortest.Stages {
		if known.Name == stage {
			step.Stage = known
		}
	}
	plan, err := pipeline.NewPlan(t.Context(), &pipeline.Recipe{Name: "test", Steps: []*pipeline.Step{step}}, s, pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = pipeline.Execute(t.Context(), plan, s, pipeline.RunOptions{Executor: spy(func(j *pipeline.Job) { job = j })})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// spy is an executor that fails every job, and shows it.
type spy func(*pipeline.Job)

func (x spy) Perform(_ context.Context, job *pipeline.Job, _ func(pipeline.Event)) (pipeline.Result, error) {
	x(job)
	return pipeline.Result{}, errors.New("no")
}
