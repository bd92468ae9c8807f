//go:build !linux

package apart

import (
	"math"
	"runtime/debug"
)

// limit makes the garbage collector work the harder the nearer the process is to
// this many bytes. Only Linux has a limit that holds.
func limit(bytes float64) error {
	if bytes > 0 && bytes < math.MaxInt64 {
		debug.SetMemoryLimit(int64(bytes))
	}
	return nil
}
