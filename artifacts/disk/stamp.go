package disk

import (
	"io/fs"
	"time"
)

// Stamp is what a file system says of a file without reading it. A file whose
// stamp is what it was has the content that it had.
type Stamp struct {
	Dev, Ino     uint64
	Size         int64 // bytes
	Mtime, Ctime int64 // ns since 1970
}

const (
	Frozen   fs.FileMode = 0o444 // of an object
	Writable fs.FileMode = 0o666 // of any other file, less the umask
)

// FrozenTime is the modification time of every object. Writing to an object changes it,
// so that an object's stamp shows every write, without a racy window.
// Every file system can hold this time exactly.
var FrozenTime = time.Unix(1_000_000_000, 0)

// IsFrozen reports whether the file has the frozen time.
func (s Stamp) IsFrozen() bool { return s.Mtime == FrozenTime.UnixNano() }
