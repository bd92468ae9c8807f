package store

import (
	"io/fs"
	"syscall"
)

// stampOf returns the stamp of a file from what lstat or fstat said.
func stampOf(fi fs.FileInfo) stamp {
	s := fi.Sys().(*syscall.Stat_t)
	return stamp{
		dev: uint64(s.Dev), ino: s.Ino, size: s.Size,
		mtime: s.Mtimespec.Nano(), ctime: s.Ctimespec.Nano(),
	}
}
