package explain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/tree"
	"eyrie/pipeline/sheet"
)

// FileChange is a file, or a directory tree, whose content changed.
type FileChange struct {
	Path string           `json:"path"`
	Old  artifacts.Digest `json:"old"`
	New  artifacts.Digest `json:"new"`
	What []string         `json:"what,omitempty"` // the first differences, in words
	More int              `json:"more,omitempty"` // further ones
}

// mostText is the longest file whose text is compared, in bytes, and mostSaid how many
// differences are told.
const (
	mostText = 4 << 20
	mostSaid = 5
)

// Compare says how the content of a file differs: between what the store holds of before,
// and what is at the path of after, or what the store holds of that, too.
func Compare(ctx context.Context, s *store.Store, before, after artifacts.File) FileChange {
	c := FileChange{Path: after.Path, Old: before.Digest, New: after.Digest}
	var what []string
	if before.Tree && after.Tree {
		what = compareTrees(ctx, s, before, after)
	} else if !before.Tree && !after.Tree {
		what = compareFiles(ctx, s, before, after)
	}
	if c.More = len(what) - mostSaid; c.More > 0 {
		what = what[:mostSaid]
	}
	c.What, c.More = what, max(0, c.More)
	return c
}

func compareFiles(ctx context.Context, s *store.Store, before, after artifacts.File) []string {
	old, err := s.Content(ctx, before.Digest, mostText)
	if err != nil {
		return unreadable("the old content", err)
	}
	new, err := current(ctx, s, after)
	if err != nil {
		return unreadable("the new content", err)
	}
	if strings.EqualFold(filepath.Ext(after.Path), ".csv") {
		if what := compareSheets(old, new); what != nil {
			return what
		}
	}
	return compareTexts(old, new)
}

func unreadable(what string, err error) []string {
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrDamaged):
		return []string{what + " is no longer in the store"}
	case errors.Is(err, store.ErrTooLong):
		return nil
	}
	return []string{what + " cannot be read: " + err.Error()}
}

// current returns the content of a file: as the store has it, or as it is at its path, as
// long as that is what it was.
func current(ctx context.Context, s *store.Store, f artifacts.File) ([]byte, error) {
	b, err := s.Content(ctx, f.Digest, mostText)
	if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrDamaged) || f.Path == "" {
		return b, err
	}
	if info, err := os.Stat(f.Path); err != nil || !info.Mode().IsRegular() {
		return nil, store.ErrNotFound
	} else if info.Size() > mostText {
		return nil, store.ErrTooLong
	}
	if b, err = os.ReadFile(f.Path); err == nil && artifacts.Sum(b) != f.Digest {
		err = store.ErrNotFound // it changed again
	}
	return b, err
}

// compareSheets compares tables cell by cell, by their columns' names; nil where they are
// no tables, or the same cells.
func compareSheets(old, new []byte) []string {
	before, err := sheet.Parse("", old)
	if err != nil {
		return nil
	}
	after, err := sheet.Parse("", new)
	if err != nil {
		return nil
	}
	var what []string
	for _, name := range before.Columns {
		if !slices.Contains(after.Columns, name) {
			what = append(what, fmt.Sprintf("column %q is gone", name))
		}
	}
	for _, name := range after.Columns {
		if !slices.Contains(before.Columns, name) {
			what = append(what, fmt.Sprintf("column %q is new", name))
		}
	}
	return append(what, compareRows(before, after)...)
}

// compareRows compares the rows between those that are the same at the beginning and at
// the end.
func compareRows(before, after *sheet.Sheet) (what []string) {
	old, new := before.Rows, after.Rows
	same := func(a, b sheet.Row) bool { return slices.Equal(a.Cells, b.Cells) }
	for len(old) > 0 && len(new) > 0 && same(old[0], new[0]) {
		old, new = old[1:], new[1:]
	}
	for len(old) > 0 && len(new) > 0 && same(old[len(old)-1], new[len(new)-1]) {
		old, new = old[:len(old)-1], new[:len(new)-1]
	}
	for i := range min(len(old), len(new)) {
		for k, name := range after.Columns {
			from := slices.Index(before.Columns, name)
			if from < 0 {
				continue
			}
			if o, n := old[i].Cells[from], new[i].Cells[k]; o != n {
				what = append(what, fmt.Sprintf("line %d, column %s: %s → %s", new[i].Line, name, cut(o), cut(n)))
			}
		}
	}
	common := min(len(old), len(new))
	what = append(what, surplus(old[common:], "gone")...)
	return append(what, surplus(new[common:], "new")...)
}

// surplus says which rows one of two tables has alone.
func surplus(rows []sheet.Row, is string) []string {
	switch len(rows) {
	case 0:
		return nil
	case 1:
		return []string{fmt.Sprintf("line %d is %s: %s", rows[0].Line, is, cut(strings.Join(rows[0].Cells, ", ")))}
	}
	return []string{fmt.Sprintf("lines %d to %d are %s", rows[0].Line, rows[len(rows)-1].Line, is)}
}

// compareTexts names the first line that differs.
func compareTexts(old, new []byte) []string {
	if !utf8.Valid(old) || !utf8.Valid(new) {
		return nil
	}
	before, after := lines(old), lines(new)
	for i := range max(len(before), len(after)) {
		switch {
		case i >= len(before):
			return []string{fmt.Sprintf("line %d is new: %s", i+1, cut(after[i]))}
		case i >= len(after):
			return []string{fmt.Sprintf("line %d is gone: %s", i+1, cut(before[i]))}
		case before[i] != after[i]:
			return []string{fmt.Sprintf("line %d: %s → %s", i+1, cut(before[i]), cut(after[i]))}
		}
	}
	return nil
}

func lines(b []byte) []string {
	return strings.Split(string(bytes.TrimSuffix(b, []byte("\n"))), "\n")
}

// cut returns a text as it fits a line.
func cut(text string) string {
	const most = 60 // bytes
	text = strings.TrimSpace(text)
	if text == "" {
		return `""`
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// compareTrees names the files that differ.
func compareTrees(ctx context.Context, s *store.Store, before, after artifacts.File) []string {
	old, err := s.Tree(ctx, artifacts.File{Digest: before.Digest})
	if err != nil {
		return unreadable("the old tree", err)
	}
	new, err := s.Tree(ctx, artifacts.File{Digest: after.Digest})
	if errors.Is(err, store.ErrNotFound) && after.Path != "" {
		new, err = s.Tree(ctx, after)
	}
	if err != nil {
		return unreadable("the new tree", err)
	}
	was := make(map[string]tree.Entry, len(old))
	for _, e := range old {
		was[e.Path] = e
	}
	var what []string
	for _, e := range new {
		o, ok := was[e.Path]
		delete(was, e.Path)
		switch {
		case !ok:
			what = append(what, e.Path+" is new")
		case o.Digest != e.Digest || o.Kind != e.Kind:
			what = append(what, e.Path+" changed")
		}
	}
	for _, e := range old {
		if _, gone := was[e.Path]; gone {
			what = append(what, e.Path+" is gone")
		}
	}
	return what
}
