// Package sheet reads and writes tables as CSV, for everybody in the same way: what
// spreadsheets write is read, and what could be misread is a mistake with its line.
package sheet

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"eyrie/artifacts"
)

// Sheet is a table with a line of names above it.
type Sheet struct {
	Name    string // the file's, for messages; "" where there is none
	Columns []string
	Line    int // of the names
	Rows    []Row
}

// Row is a line below the names, with a cell for each.
type Row struct {
	Line  int // in the file, from 1
	Cells []string
}

// Option says how a table is read.
type Option func(*csv.Reader)

// Comments leaves out lines that begin with #.
func Comments(r *csv.Reader) { r.Comment = '#' }

// Spaces keeps space before a cell as part of it.
func Spaces(r *csv.Reader) { r.TrimLeadingSpace = false }

// Read reads a table from a file, which its errors name.
func Read(f artifacts.File, options ...Option) (*Sheet, error) {
	text, err := f.ReadFile()
	if err != nil {
		return nil, err
	}
	return Parse(cmp.Or(f.Name, filepath.Base(f.Path)), text, options...)
}

// Parse reads a table: UTF-8, perhaps with a byte order mark, with commas between
// cells. Columns have names, each its own, and rows have as many cells. Space around
// names does not count, nor, without [Spaces], does space before a cell. An error begins with the file's
// name and the line, "board.csv:5: ", or with "line 5: ".
func Parse(name string, text []byte, options ...Option) (*Sheet, error) {
	s := &Sheet{Name: name}
	text, err := s.decode(text)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.TrimLeadingSpace = true
	r.FieldsPerRecord = -1 // counted here, for a better message
	for _, option := range options {
		option(r)
	}
	if err := s.head(r); err != nil {
		return nil, err
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		} else if err != nil {
			return nil, s.syntax(err)
		}
		line, _ := r.FieldPos(0)
		if len(cells) != len(s.Columns) {
			return nil, s.Errorf(line, "%s where line %d names %s; a cell may be empty, but the comma stays",
				count(len(cells), "cell"), s.Line, count(len(s.Columns), "column"))
		}
		s.Rows = append(s.Rows, Row{line, cells})
	}
}

// decode returns the text without a byte order mark, and says which text is not UTF-8.
func (s *Sheet) decode(text []byte) ([]byte, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, s.Errorf(1, "this is UTF-16: save it as CSV in UTF-8")
	}
	if at := bytes.IndexByte(text, 0); at >= 0 {
		return nil, s.Errorf(1+bytes.Count(text[:at], []byte("\n")), "a zero byte, which no text has (UTF-16 and spreadsheets' own files do): save it as CSV in UTF-8")
	}
	if !utf8.Valid(text) {
		at := 0
		for r, n := utf8.DecodeRune(text); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(text[at:]) {
			at += n
		}
		return nil, s.Errorf(1+bytes.Count(text[:at], []byte("\n")), "byte %#x is not UTF-8: save it as CSV in UTF-8", text[at])
	}
	if !bytes.ContainsRune(text, '\n') { // as old spreadsheets end lines
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	return text, nil
}

// head reads the line of names.
func (s *Sheet) head(r *csv.Reader) error {
	names, err := r.Read()
	if errors.Is(err, io.EOF) {
		return s.Errorf(1, "the text is empty; its first line must name the columns")
	} else if err != nil {
		return s.syntax(err)
	}
	s.Line, _ = r.FieldPos(0)
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		name = strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' }) // files that were joined have marks within
		names[i] = name
		switch {
		case len(names) == 1 && strings.ContainsAny(name, ";\t"):
			what := "semicolons"
			if strings.Contains(name, "\t") {
				what = "tabs"
			}
			return s.Errorf(s.Line, "the cells have %s between them: write commas (and numbers with a point, 1.5)", what)
		case name == "":
			return s.Errorf(s.Line, "column %d of %d has no name: name it, or take it out", i+1, len(names))
		case seen[name]:
			return s.Errorf(s.Line, "column %q is there twice", name)
		}
		seen[name] = true
	}
	s.Columns = names
	return nil
}

// syntax words an error in how the text is written.
func (s *Sheet) syntax(err error) error {
	if e := (*csv.ParseError)(nil); errors.As(err, &e) {
		return s.Errorf(e.Line, "%w", e.Err)
	}
	return err
}

// Errorf returns an error about a line.
func (s *Sheet) Errorf(line int, format string, args ...any) error {
	at := fmt.Sprintf("%s:%d", s.Name, line)
	if s.Name == "" {
		at = fmt.Sprintf("line %d", line)
	}
	return fmt.Errorf("%s: %w", at, fmt.Errorf(format, args...))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
