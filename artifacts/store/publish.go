package store

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

// Publish makes a file or tree of the store one that a person can use: a copy, or of a
// tree a link to where it is laid out or lies, under a name in a directory of outputs/ that
// begins with its digest, so that what was published keeps its content. Beside that
// directory, name is a link to what was published last. It returns the path from the
// store's directory on. Both names must be such as a file can have.
func (s *Store) Publish(ctx context.Context, f artifacts.File, group, name string) (string, error) {
	kept, err := s.Locate(ctx, f)
	if err != nil {
		return "", err
	}
	here := f.Digest.String()[:12]
	path := filepath.Join("outputs", group, here, name)
	if f.Tree {
		err = s.symlink(kept.Path, s.dir.Path(path))
	} else if now, e := s.Hash(ctx, s.dir.Path(path)); e != nil || now.Digest != f.Digest {
		err = s.copyFor(kept.Path, s.dir.Path(path))
	}
	if err != nil {
		return "", err
	}
	_ = s.symlink(filepath.Join(here, name), s.dir.Path("outputs", group, name)) // a convenience
	return path, nil
}

// copyFor copies a file for a person. It has the date of its making, where a link would
// have that of the store's objects, and lead whoever changes it to change the store.
func (s *Store) copyFor(from, to string) error {
	tmp, err := s.dir.Name()
	if err != nil {
		return err
	}
	err = s.dir.Write(tmp, disk.Writable, false, func(f *os.File) error {
		in, err := os.Open(from)
		if err != nil {
			return err
		}
		defer in.Close()
		if _, err := io.Copy(f, in); err != nil { // on some file systems, without copying
			return err
		}
		return f.Chmod(disk.Frozen)
	})
	if err != nil {
		return err
	}
	return s.dir.Move(tmp, to)
}

// symlink makes path a link, unless it is.
func (s *Store) symlink(to, path string) error {
	if is, err := os.Readlink(path); err == nil && is == to {
		return nil
	}
	tmp, err := s.dir.Name()
	if err != nil {
		return err
	}
	if err := s.dir.Try("symlink", tmp, func() error { return os.Symlink(to, tmp) }); err != nil {
		return err
	}
	return s.dir.Move(tmp, path)
}
