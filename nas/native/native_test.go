package native

import (
	"testing"

	"eyrie/nas/nn"
	"eyrie/nas/train"
	"eyrie/nas/train/traintest"
)

// The backend in Go keeps a backend's promises, with the kernels of every machine and with
// the fastest.
func TestBackend(t *testing.T) {
	for _, arithmetic := range []string{"go", "auto"} {
		t.Run(arithmetic, func(t *testing.T) {
			traintest.Run(t, func(t *testing.T, job train.Job) train.Backend {
				b, err := Open(job, Options{Arithmetic: nn.Arithmetic(arithmetic), Threads: 2})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(b.Close)
				return b
			})
		})
	}
}
