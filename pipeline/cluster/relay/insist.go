package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"eyrie/artifacts/blob"
)

// insistence is how long a node waits for a bucket that does not answer: what it has made may have
// taken it days.
const insistence = time.Hour

// Insist does something with a bucket, again and again while it does not answer. The first failure
// is told on standard error, which is the job's own log.
func Insist(ctx context.Context, do func(ctx context.Context) error) error {
	end := time.Now().Add(insistence)
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		err := do(ctx)
		if err == nil || errors.Is(err, blob.ErrRefused) || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		if pause == time.Second {
			fmt.Fprintf(os.Stderr, "%v; trying again for %v\n", err, insistence)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}
