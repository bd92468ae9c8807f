// Package source is where the text of a recipe comes from, with all that it reads:
// the disk, or what an editor has not saved yet, laid over the disk.
//
// What is read is bounded: only regular files, none larger than [Limit]. A recipe
// that names a pipe or a device is told so, where it would wait, or read, for ever.
package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Limit is the most bytes that are read of one file: 64 MiB. A recipe of 10,000
// stages has 1 MB. Larger files are for stages, which take them by their path.
const Limit = 64 << 20

// What ReadFile refuses to read; the errors around name the file.
var (
	ErrIrregular = errors.New("is not a regular file")
	ErrTooLarge  = fmt.Errorf("is larger than %d MiB, the most that is read of a file; a stage can take it by its path", Limit>>20)
)

// Files are files by their paths, as [os] has them. Errors for what is not there
// are [fs.ErrNotExist].
type Files interface {
	// ReadFile returns the content of a regular file of up to Limit bytes. For any
	// other file its error is ErrIrregular or ErrTooLarge.
	ReadFile(path string) ([]byte, error)
	// Stat describes what is at a path, behind symbolic links.
	Stat(path string) (fs.FileInfo, error)
	// ReadDir returns what is in a directory, in the order of the names.
	ReadDir(path string) ([]fs.DirEntry, error)
}

// Disk is the files of this machine.
var Disk Files = disk{}

type disk struct{}

func (disk) Stat(path string) (fs.FileInfo, error)      { return os.Stat(path) }
func (disk) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

func (disk) ReadFile(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil { // before it is opened, as opening a pipe waits for a writer
		return nil, err
	} else if err := readable(path, info); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK the file would be prepared for waiting, by as many calls as reading takes.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, Limit+1)) // however large it says it is: files in /proc have no size
	if err == nil && len(b) > Limit {
		err = refuse(path, ErrTooLarge)
	}
	return b, err
}

// readable reports a file that is not to be read.
func readable(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return refuse(path, fmt.Errorf("%w: it is %s", ErrIrregular, kind(info.Mode())))
	case info.Size() > Limit:
		return refuse(path, ErrTooLarge)
	}
	return nil
}

func refuse(path string, err error) error { return &fs.PathError{Op: "read", Path: path, Err: err} }

// kind names what is at a path that is not a regular file.
func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}
