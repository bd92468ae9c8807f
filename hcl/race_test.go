//go:build race

package hcl_test

// slow is set where evaluation takes ten times as long, under the race detector: it has
// nothing to find in what one goroutine does.
const slow = true
