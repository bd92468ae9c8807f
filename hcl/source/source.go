// Package source is where the text of a recipe comes from, with all that it reads:
// the disk, or what an editor has not saved yet, laid over the disk.
//
// What is read is bounded: only regular files, none larger than [Limit]. A recipe
// that names a pipe or a device is told so, where it would wait, or read, for ever.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
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
	info, err := os.Stat(path) // before it is opened, which a device may notice
	if err != nil {
		return nil, err
	} else if err := readable(path, info); err != nil {
		return nil, err
	}
	// os.Open would prepare it for waiting, which takes as long as reading it does: a recipe may
	// read a file for each of its steps. Should a pipe be there by now, this does not wait for a writer.
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	for err == syscall.EINTR {
		fd, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	b, err := readAll(fd, make([]byte, 0, info.Size()+1))
	if err != nil {
		err = refuse(path, err)
	}
	return b, err
}

// readAll reads an open file to its end, however large it says it is: files in /proc have no size.
func readAll(fd int, b []byte) ([]byte, error) {
	for len(b) <= Limit {
		b = slices.Grow(b, 1)
		n, err := syscall.Read(fd, b[len(b):cap(b)])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return b, nil
		default:
			b = b[:len(b)+n]
		}
	}
	return nil, ErrTooLarge
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
