package evolve

import (
	"context"
	"syscall"
	"testing"
	"time"

	"eyrie/pipeline"
)

// BenchmarkEvolve measures whole searches, tables included, by the time that a
// core spends on them.
func BenchmarkEvolve(b *testing.B) {
	for _, strategy := range []Strategy{Paper, Regularized, Random, NSGA2} {
		b.Run(string(strategy), func(b *testing.B) {
			c := usual(b)
			c.Strategy, c.Population, c.Iterations = strategy, 100, 500
			n, start := 0, cpuTime()
			for b.Loop() {
				s, err := newEvolution(b.Context(), new(pipeline.Task), c)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.run(context.Background()); err != nil {
					b.Fatal(err)
				}
				n += s.evaluated
			}
			b.ReportMetric(float64(n)/(cpuTime()-start).Seconds(), "candidates/s/core")
		})
	}
}

// cpuTime is what all threads of the process have computed.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
