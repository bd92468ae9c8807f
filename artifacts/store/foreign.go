package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"unicode"
	"unicode/utf8"

	"eyrie/artifacts"
)

// Check fails for a record that no store would have made: what DecodeRecord takes it for is sealed, and
// anybody can seal. Whoever finds a record elsewhere asks, so that no size and no time is shown that
// cannot be, no name that is text for a terminal, and nothing is found that refers to what nobody keeps.
func (r *Record) Check() error {
	named := []string{r.Step, r.Run}
	if r.Shared != nil {
		named = append(named, r.Shared.By, r.Shared.Host, r.Shared.Runner, r.Shared.Key)
	}
	if r.Adopted != nil {
		named = append(named, r.Adopted.Runner)
	}
	for _, text := range named {
		if !isName(text) {
			return fmt.Errorf("%.100q is no name", text)
		}
	}
	if r.Elapsed < 0 {
		return fmt.Errorf("it took %v", r.Elapsed)
	}
	for _, f := range r.Objects {
		if f.Digest.IsZero() || f.Size < 0 {
			return fmt.Errorf("an object %s of %d bytes", f.Digest, f.Size)
		}
	}
	return r.checkOutput()
}

// checkOutput fails unless all files in the output are among the objects, and as large.
func (r *Record) checkOutput() error {
	if !bytes.Contains(r.Output, []byte(`"$object"`)) { // as of most
		return nil
	}
	var output any
	d := json.NewDecoder(bytes.NewReader(r.Output))
	d.UseNumber() // sizes are beyond what a float64 tells apart
	if err := d.Decode(&output); err != nil {
		return err
	}
	objects := make(map[artifacts.File]bool, len(r.Objects))
	for _, f := range r.Objects {
		objects[bare(f)] = true
	}
	for _, f := range artifacts.FilesIn(output) {
		if !f.Digest.IsZero() && !objects[bare(f)] {
			return errors.New("its output refers to a file that is not among its objects")
		}
	}
	return nil
}

// bare is a handle without what only one of a record's two lists has.
func bare(f artifacts.File) artifacts.File {
	return artifacts.File{Digest: f.Digest, Size: f.Size, Tree: f.Tree}
}

// sized fails with ErrDamaged unless a file that the store has, whose content is that of its digest, is
// as large as its handle says. Whoever wrote the handle may have lied, or been wrong.
func (s *Store) sized(f artifacts.File) error {
	fi, err := os.Lstat(s.objectPath(f.Digest))
	switch {
	case err != nil:
		return fmt.Errorf("object %s: %w", f.Digest, missing(err))
	case fi.Size() != f.Size:
		return fmt.Errorf("object %s: %w: it has %d bytes and not %d", f.Digest, ErrDamaged, fi.Size(), f.Size)
	}
	return nil
}

// isName reports whether text is what a person may be shown as it is: of one line, and nothing that a
// terminal takes for an order, or that has text beside it be read otherwise.
func isName(text string) bool {
	for _, c := range text {
		if unicode.In(c, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return false
		}
	}
	return utf8.ValidString(text)
}
