package disk

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// A file system that says "no such directory" where none can be made, as
// /proc does, gets an error and not an endless search for the one above.
func TestMkdirWhereNoneCanBeMade(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("no /proc")
	}
	if err := new(Dir).Mkdir("/proc/eyrie/store"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error that is ErrNotExist", err)
	}
}
