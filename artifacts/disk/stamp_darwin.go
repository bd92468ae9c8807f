package disk

import (
	"io/fs"
	"syscall"
)

// StampOf returns the stamp of a file from what lstat or fstat said.
func StampOf(fi fs.FileInfo) Stamp { return stampOf(fi.Sys().(*syscall.Stat_t)) }

func stampOf(s *syscall.Stat_t) Stamp {
	return Stamp{
		Dev: uint64(s.Dev), Ino: s.Ino, Size: s.Size,
		Mtime: s.Mtimespec.Nano(), Ctime: s.Ctimespec.Nano(),
	}
}
