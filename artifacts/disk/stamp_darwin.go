package disk

import (
	"io/fs"
	"syscall"
)

// StampOf returns the stamp of a file from what lstat or fstat said.
func StampOf(fi fs.FileInfo) Stamp {
	s := fi.Sys().(*syscall.Stat_t)
	return Stamp{
		Dev: uint64(s.Dev), Ino: s.Ino, Size: s.Size,
		Mtime: s.Mtimespec.Nano(), Ctime: s.Ctimespec.Nano(),
	}
}
