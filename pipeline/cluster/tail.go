package cluster

import (
	"bytes"
	"io"
	"os"
	"strings"
)

// tail reads what is added to a file that another machine writes. Before each look the file is
// opened anew, because network file systems show what was written elsewhere to those who open
// a file, not to those who have it open.
type tail struct {
	path string
	read int64
}

// lines returns complete lines that were added, as many as are read at once, or at the end also
// one that is not complete.
func (t *tail) lines(end bool) [][]byte {
	f, err := os.Open(t.path)
	if err != nil {
		return nil // it is not there yet
	}
	defer f.Close()
	b, last, whole := t.part(f)
	if end && whole || last == 0 && len(b) == longest {
		last = len(b)
	}
	t.read += int64(last)
	if last == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(b[:last], []byte("\n")), []byte("\n"))
}

// How much is read at a time, unless a line is longer: a result can be. What has no end of line
// after longest is cut there.
const atOnce, longest = 4 << 20, 256 << 20

// part returns what was added, as far as it is read at once, where its last line ends, and
// whether it is all that there is.
func (t *tail) part(f *os.File) (b []byte, last int, whole bool) {
	for most := atOnce; ; most *= 4 {
		b, err := io.ReadAll(io.NewSectionReader(f, t.read, int64(most)))
		if err != nil {
			return nil, 0, true
		}
		whole = len(b) < most
		if last = bytes.LastIndexByte(b, '\n') + 1; last > 0 || whole || most == longest {
			return b, last, whole
		}
	}
}

// lastLines returns the end of a log, to be added to an error; "" where there is none.
func lastLines(path string) string {
	const most, size = 10, 16 << 10 // lines, bytes: a log may be larger than this machine's memory
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-size), io.SeekStart)
	}
	b, _ := io.ReadAll(io.LimitReader(f, size)) // what cannot be read is left out
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if lines[0] == "" {
		return ""
	}
	return "; the end of its log:\n  " + strings.Join(lines[max(0, len(lines)-most):], "\n  ")
}
